"""Names, labels and numbers of series: what dashboards, rules and other people's scrapes rest on."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from msgspec import Struct

from secmon.certificates import ensure
from secmon.evaluate.frameworks import load_frameworks
from secmon.exceptions.model import Scope
from secmon.judging import note_ruleset
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import Runtime
from secmon.resources import rules_dir
from secmon.store.schema import jobs
from secmon_agent import facts
from tests.secmon.exceptions.registry import TELNET, enter
from tests.secmon.metrics.page import Holder, Page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)
MACHINES = 200
ILL = 0.3

CONTRACT: dict[str, tuple[str, int]] = {
    "hosts": ("zone department state", 150),
    "host_info": ("host host_id zone department role os os_version agent_version", 200),
    "host_last_report_timestamp_seconds": ("host", 200),
    "host_silent_since_timestamp_seconds": ("host", 12),
    "host_pending_updates": ("host kind", 240),
    "host_oldest_pending_security_update_timestamp_seconds": ("host", 120),
    "host_reboot_pending_since_timestamp_seconds": ("host", 60),
    "host_exposed_ports": ("host risk", 60),
    "finding_opened_timestamp_seconds": ("host zone check severity state", 180),
    "finding_due_timestamp_seconds": ("host check", 180),
    "findings": ("zone department severity state", 360),  # four states; the figure of 270 was for three
    "findings_overdue": ("zone department severity", 90),
    "finding_transitions_total": ("zone event cause", 30),
    "check_hosts": ("check zone status", 1920),  # 157 checks; the figure of 1,800 was for 120
    "area_hosts": ("area zone department status", 2310),  # 19 areas, and exceptions; the figure of 1,440 was for 12
    "framework_controls": ("framework zone verdict", 72),
    "section_hosts": ("section zone status", 285),  # 19 sections; the figure of 270 was for 18
    "update_age_hosts": ("zone band", 18),
    "product_hosts": ("zone product cycle", 120),
    "product_end_of_support_timestamp_seconds": ("product cycle", 40),
    "port_hosts": ("zone protocol port", 150),
    "exception_expiry_timestamp_seconds": ("exception check", 20),
    "zone_data_timestamp_seconds": ("zone", 3),
    "agents": ("version os", 6),
    "reports_total": ("outcome", 9),
    "ingest_duration_seconds": ("", 14),
    "evaluation_duration_seconds": ("", 14),
    "notifications_total": ("channel outcome", 12),
    "notifications_pending": ("channel", 3),
    "task_last_success_timestamp_seconds": ("task", 6),
    "certificate_expiry_timestamp_seconds": ("usage", 3),
    "data_free_bytes": ("", 1),
    "rules_loaded_timestamp_seconds": ("version", 1),
    "series_folded": ("metric", 9),
    "collector_leader": ("", 1),
    "build_info": ("version", 1),
}
"""Name → labels, and the most series that an office of 200 machines may have."""
TOTAL = 6_350
"""5,879 were planned, for 12 areas and 120 checks."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """An office of 200 machines in three zones and fifteen departments, a third of them with problems."""
    folder = tmp_path_factory.mktemp("office")
    office = Office(folder)
    now = START + DAY
    note_ruleset(office.database, office.rules, START)
    for number in range(MACHINES):
        zone, department = ("lgwan", "mynumber", "internet")[number % 3], f"第{number % 30 // 2}課"
        at = START - (30 * DAY if number % 20 == 1 else timedelta(hours=number % 24))
        place = {"zone": zone, "department": department, "asset_number": f"A-{number}"}
        host = office.add_host(f"pc-{number:03}", at=at, **place)
        office.report(host, ill(number, at) if number < MACHINES * ILL else well(at), at)
    enter(office, Scope(check=TELNET, item="tcp/23"), now)
    with office.database.write() as connection:
        connection.execute(sa.insert(jobs).values(job="sweep", period="2026-11-02", finished_at=START))
    exposition = Exposition(
        office.database, office.config, Holder(office), Runtime(), lambda: now,
        certificates={"server": ensure(office.config, START).certificate},
        frameworks=lambda: load_frameworks(rules_dir(), office.rules),
    )  # fmt: skip
    return Page(exposition.render("")[0])


def well(at: datetime) -> dict[str, Struct]:
    patches = facts.Patches(manager="apt", lists_updated_at=at, pending=(), security_archive=True)
    return linux("12", patches=patches)


def ill(number: int, at: datetime) -> dict[str, Struct]:
    pending = tuple(
        facts.PendingUpdate(package=f"p{n}", security=n % 2 == 0, pending_since=at - 40 * DAY) for n in range(4)
    )
    open_ports = tuple(
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network", process="p")
        for port in (22, 23 if number % 2 else 5432, 3000 + number)
    )
    return linux(
        "12",
        patches=facts.Patches(manager="apt", lists_updated_at=at, pending=pending, security_archive=True),
        boot=facts.Boot(reboot_pending=True, reboot_pending_since=at - DAY),
        ports=facts.Ports(listening=open_ports),
    )


def family(name: str) -> str:
    """Of a sample, without the prefix: the parts of a histogram belong together."""
    short = name.removeprefix("secmon_")
    for suffix in ("_bucket", "_sum", "_count"):
        if short.endswith(suffix) and short.removesuffix(suffix) in CONTRACT:
            return short.removesuffix(suffix)
    return short


def test_it_exposes_exactly_the_metrics_agreed_upon(page: Page) -> None:
    found = {family(sample.name) for sample in page.samples}
    assert found == CONTRACT.keys()


def test_it_labels_them_as_agreed(page: Page) -> None:
    for sample in page.samples:
        assert set(sample.labels) - {"le"} == set(CONTRACT[family(sample.name)][0].split()), sample.name


def test_it_names_no_host_by_its_id_except_on_host_info(page: Page) -> None:
    pattern = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
    shown = {sample.name for sample in page.samples if any(map(pattern.fullmatch, sample.labels.values()))}
    assert shown == {"secmon_host_info"}


def test_it_stays_within_its_series(page: Page) -> None:
    counts = Counter(family(sample.name) for sample in page.samples)
    over = {name: (counts[name], most) for name, (_, most) in CONTRACT.items() if counts[name] > most}
    assert over == {}
    assert len(page.samples) <= TOTAL


def test_it_folds_nothing_in_a_small_office(page: Page) -> None:
    assert page.sum("series_folded") == 0
