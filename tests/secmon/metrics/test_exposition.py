"""The page as a whole: formats, what a fault costs, what is kept, and that promtool has nothing to say."""

from __future__ import annotations

import gzip
import logging
import shutil
import subprocess  # noqa: TID251 — promtool judges the page
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import secmon
from secmon.certificates import ensure
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import OUTCOMES, Runtime
from secmon.metrics.text import compress
from secmon.store.database import Database
from secmon.store.schema import jobs
from secmon_agent import facts
from tests.secmon.metrics.page import Holder, Page, exposition
from tests.support.office import START, Office, linux

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def small(tmp_path: Path) -> Office:
    """One machine, on SQLite; for what has nothing to do with the kind of database."""
    built = Office(tmp_path)
    pending = (facts.PendingUpdate(package="openssl", security=True, pending_since=START - timedelta(days=60)),)
    built.report(
        built.add_host("pc-01", zone="lgwan", department="総務課"),
        linux(
            "9",
            patches=facts.Patches(manager="apt", lists_updated_at=START, pending=pending, security_archive=True),
            boot=facts.Boot(reboot_pending=True),
        ),
        START,
    )
    return built


def test_it_speaks_both_text_formats(small: Office) -> None:
    asked = exposition(small, lambda: START)
    plain, plain_type = asked.render("")
    other, other_type = asked.render(ACCEPT)
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert other_type.startswith("application/openmetrics-text; version=1.0.0")
    assert other.endswith(b"# EOF\n")
    assert other.count(b"# EOF") == 1
    samples = {(each.name, tuple(sorted(each.labels.items()))) for each in Page(plain).samples}
    same = {
        (each.name, tuple(sorted(each.labels.items())))
        for family in parse_openmetrics(other.decode())  # type: ignore[no-untyped-call]
        for each in family.samples
    }
    assert samples == same
    assert not [name for name, _ in samples if name.endswith("_created")]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here (apt: prometheus)")
def test_it_leaves_promtool_nothing_to_say(small: Office) -> None:
    page, _ = exposition(small, lambda: START + timedelta(days=100)).render("")
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_loses_only_the_family_that_fails(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.report(office.add_host("a", zone="lgwan"), linux("9"), START)
    with office.database.write() as connection:
        connection.execute(sa.text("DROP TABLE dispatches"))
        connection.execute(sa.text("DROP TABLE deliveries"))
        connection.execute(sa.insert(jobs).values(job="sweep", period="2026-11-02", finished_at=START))
    with caplog.at_level(logging.ERROR):
        seen = Page(exposition(office, lambda: START).render("")[0])
    assert "family notifications is left out" in caplog.text
    assert not seen.of("notifications_total")
    assert seen.value("check_hosts", check="support.os", zone="lgwan", status="fail") == 1
    after = seen.value("task_last_success_timestamp_seconds", task="sweep")
    assert after == START.timestamp(), "a family that reads the database after the failing one"
    assert seen.of("series_folded")
    assert seen.value("build_info", version=secmon.__version__) == 1


def test_it_still_tells_of_itself_without_a_database(small: Office, tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    runtime = Runtime()
    runtime.reports.labels(outcome="busy").inc()
    asked = Exposition(gone, small.config, Holder(small), runtime, lambda: START)
    seen = Page(asked.render("")[0])
    assert seen.value("reports_total", outcome="busy") == 1
    assert seen.value("data_free_bytes") is not None
    assert not seen.of("hosts")


def test_it_counts_reports_from_zero_on(small: Office) -> None:
    runtime = Runtime()
    asked = Exposition(small.database, small.config, Holder(small), runtime, lambda: START, kept_s=0.0)
    before = Page(asked.render("")[0])
    assert {labels["outcome"] for labels in before.of("reports_total")} == set(OUTCOMES)
    assert before.sum("reports_total") == 0
    runtime.reports.labels(outcome="accepted").inc()
    runtime.ingest_duration.observe(0.02)
    after = Page(asked.render("")[0])
    assert after.value("reports_total", outcome="accepted") == 1
    assert after.value("ingest_duration_seconds_bucket", le="0.025") == 1
    assert after.value("ingest_duration_seconds_bucket", le="0.01") == 0
    assert len(after.of("ingest_duration_seconds_bucket")) + 2 == 14


def test_it_knows_when_certificates_end(small: Office) -> None:
    certificate = ensure(small.config, START).certificate
    asked = Exposition(
        small.database,
        small.config,
        Holder(small),
        Runtime(),
        lambda: START,
        certificates={"server": certificate, "later": certificate.with_name("not-yet.pem")},
    )
    seen = Page(asked.render("")[0])
    assert seen.of("certificate_expiry_timestamp_seconds") == [{"usage": "server"}]
    expires = seen.value("certificate_expiry_timestamp_seconds", usage="server")
    assert expires is not None
    assert START < datetime.fromtimestamp(expires, UTC) <= START + timedelta(days=366)


class Counted(Database):
    """Counts how often somebody reads."""

    reads = 0

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        self.reads += 1
        with super().read() as connection:
            yield connection


def test_it_reads_the_database_once_for_all_who_ask_at_once(small: Office) -> None:
    database = Counted(small.database.engine.url)
    asked = Exposition(database, small.config, Holder(small), Runtime(), lambda: START, kept_s=3600.0)
    start = threading.Barrier(8)
    pages: list[bytes] = []

    def ask(accept: str) -> None:
        start.wait()
        pages.append(asked.render(accept)[0])

    threads = [threading.Thread(target=ask, args=(ACCEPT if n % 2 else "",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 8
    assert len(set(pages)) == 2
    assert database.reads == 1


def test_it_makes_the_page_anew_once_it_is_old(small: Office) -> None:
    database = Counted(small.database.engine.url)
    asked = Exposition(database, small.config, Holder(small), Runtime(), lambda: START, kept_s=0.0)
    asked.render("")
    asked.render("")
    assert database.reads == 2


def test_it_packs_for_whoever_takes_it() -> None:
    body = b"secmon_hosts 1\n" * 100
    packed, encoding = compress(body, "gzip;q=1.0, deflate")
    assert encoding == "gzip"
    assert gzip.decompress(packed) == body
    assert compress(body, "deflate") == (body, None)
    assert compress(body, "") == (body, None)
