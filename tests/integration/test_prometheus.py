"""A real Prometheus scrapes the collector, and every query of the dashboard answers what the database says."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.judging import note_ruleset
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import Runtime
from secmon.metrics.text import compress
from secmon.store.hosts import find_host
from secmon.store.schema import assets
from secmon_agent import facts
from tests.dashboards.panels import FOLDER, dashboard, queries
from tests.integration.overview_truth import PANELS, Choice, Truth
from tests.integration.prometheus_process import Prometheus, by_label, running, wait_for
from tests.support.office import Office, linux

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus here (apt: prometheus)")

TOKEN = "a-token-of-the-test"
OVERVIEW = FOLDER / "overview.json"
RULES_LOADED = datetime(2026, 11, 1, tzinfo=UTC)
TELNET = facts.Ports(
    listening=(facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=23, reach="network", process="inetd"),)
)
WHOLE = Choice(".*", ".*")
CHOICES = (WHOLE, Choice("lgwan", "総務課"), Choice("lgwan|none", ".*"))


def test_it_answers_every_query_of_the_overview_as_the_database_does(tmp_path: Path) -> None:
    office = furnished(tmp_path)
    with served(office) as target, running(tmp_path, target, TOKEN) as prometheus:
        wait_for("the first scrape", prometheus.last_scrape)
        live(office)
        changed = time.time()
        at = wait_for("a scrape after the change", lambda: newer(prometheus.last_scrape(), changed))
        with closing(sqlite3.connect(tmp_path / "secmon.db")) as db:
            for choice in CHOICES:
                check_panels(prometheus, at, Truth(db, office, at, choice))
            check_recording(prometheus, Truth(db, office, at, Choice(".*", "総務課")))
        check_around(prometheus, office, at)


def check_panels(prometheus: Prometheus, at: float, truth: Truth) -> None:
    asked = queries(OVERVIEW, zone=truth.choice.zone, department=truth.choice.department)
    assert asked.keys() == PANELS.keys()
    for title, (labels, tell) in PANELS.items():
        answer, expected = by_label(prometheus.query(asked[title], at), *labels), dict(tell(truth))
        assert answer == pytest.approx(expected, abs=0.5 if title == "音信不通" else 1e-3), (title, truth.choice)
        if truth.choice == WHOLE:
            assert any(answer.values()), f"{title}: nothing is compared"


def check_recording(prometheus: Prometheus, truth: Truth) -> None:
    """What the recording rules keep; `truth` is that of 総務課."""
    seen = time.time()
    shares = "department_area:secmon_area_hosts:pass_ratio"
    wait_for(
        "a later evaluation", lambda: newer(max(prometheus.query(f"timestamp({shares})", time.time()).values()), seen)
    )
    now = time.time()
    ratios = by_label(prometheus.query("zone:secmon_hosts:reporting_ratio", now), "zone")
    assert ratios == {("lgwan",): 0.5, ("internet",): 1.0, ("none",): 0.0}
    kept = by_label(prometheus.query(shares, now), "department", "area")
    counts = truth.areas()
    for area in {area for area, _ in counts}:
        hosts = sum(count for (each, _), count in counts.items() if each == area)
        assert kept["総務課", area] == pytest.approx(counts[area, "pass"] / hosts)


def check_around(prometheus: Prometheus, office: Office, at: float) -> None:
    """The choices on top and the annotation."""
    board = dashboard(OVERVIEW)
    assert prometheus.label_values("zone", "secmon_hosts") == {"lgwan", "internet", "mynumber", "none"}
    assert prometheus.label_values("department", 'secmon_hosts{zone=~"lgwan"}') == {"総務課", "税務課"}
    (annotation,) = board["annotations"]["list"]
    ((labels, loaded),) = prometheus.query(annotation["expr"], at).items()
    assert dict(labels)["version"] == office.rules.version
    assert loaded == pytest.approx(RULES_LOADED.timestamp() * 1000)


def newer(scrape: float | None, than: float) -> float | None:
    return scrape if scrape is not None and scrape > than else None


# ── the office ────────────────────────────────────────────────────────────────────────────────────────────────────────


def furnished(folder: Path) -> Office:
    """Machines well, ill, silent, unlisted and never seen, one without a zone, and one that only the ledger knows."""
    office = Office(folder)
    note_ruleset(office.database, office.rules, RULES_LOADED)
    now = datetime.now(UTC)
    well = office.add_host("soumu-01", zone="lgwan", department="総務課", asset_number="A-1")
    office.report(well, linux(), now - timedelta(hours=3))
    ill = office.add_host("soumu-02", zone="lgwan", department="総務課", asset_number="A-2")
    office.report(ill, linux("9", ports=TELNET), now - timedelta(days=10))
    office.heartbeat(ill, now - timedelta(hours=2))
    silent = office.add_host("soumu-03", zone="lgwan", department="総務課", asset_number="A-3")
    office.report(silent, linux(), now - timedelta(days=40))
    office.add_host("zeimu-01", zone="lgwan", department="税務課", asset_number="A-4")
    unlisted = office.add_host("zeimu-02", zone="lgwan", department="税務課")
    office.report(unlisted, linux("9"), now - timedelta(hours=1))
    outside = office.add_host("kanko-01", zone="internet", department="観光課", asset_number="A-5")
    office.report(outside, linux(), now - timedelta(hours=5))
    nowhere = office.add_host("nowhere-01")
    office.report(nowhere, linux(), now - timedelta(days=30))
    with office.database.write() as connection:
        connection.execute(sa.insert(assets).values(asset_id=uuid.uuid4(), asset_number="A-9", recorded_at=now))
    return office


def live(office: Office) -> None:
    """Between two scrapes: one machine goes wrong, and another gets well in one thing."""
    now = datetime.now(UTC)
    with office.database.read() as connection:
        found = [find_host(connection, name) for name in ("soumu-01", "soumu-02")]
    for host_id in found:
        assert host_id is not None
        office.report(host_id, linux(ports=TELNET), now - timedelta(seconds=2))


# ── the collector's side ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def served(office: Office) -> Iterator[str]:
    """/metrics behind a bearer token, in a thread; gives host:port."""

    class Holder:
        current = office.rules

    exposition = Exposition(office.database, office.config, Holder(), Runtime(), lambda: datetime.now(UTC), kept_s=0.0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics" or self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send_error(401)
                return
            page, content_type = exposition.render(self.headers.get("Accept", ""))
            body, encoding = compress(page, self.headers.get("Accept-Encoding", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            if encoding:
                self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
