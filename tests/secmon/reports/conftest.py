"""A town with three checks of its own, so that its reports change only when reports do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from secmon.reports.archive import Archived
from secmon.reports.command import obtain
from secmon.reports.model import AreaState, MonthlyReport
from secmon.reports.month import parse_month
from secmon.rulebook import Rulebook
from secmon_agent import facts
from tests.support.office import Office

CHECK = """id: {id}
area: {area}
title: {{ja: {ja}, en: {en}}}
when_absent: unknown
{judgement}
severity: {severity}
why: {{ja: 放置すると侵入されるおそれがあります。, en: It invites an intruder.}}
fix: {{ja: [担当者に連絡してください。], en: [Call the staff in charge.]}}
examples:
{examples}
"""

CHECKS = {
    "password/length": CHECK.format(
        id="password.length", area="password", ja="パスワードの長さ", en="Passwords are long", severity="medium",
        judgement="pass: password_policy.min_length >= limits.least\nlimits: {least: {default: 8, lgwan: 12}}",
        examples="  - {facts: {password_policy: {min_length: 12}}, expect: pass}\n"
        "  - {facts: {password_policy: {min_length: 4}}, expect: fail}",
    ),
    "ports/telnet": CHECK.format(
        id="ports.telnet", area="ports", ja="暗号化されない接続口", en="No clear-text service", severity="high",
        judgement="items: ports.listening.filter(p, p.port in [21, 23])\nkey: 'string(item.port)'\npass: 'false'\n"
        "evidence: item.process",
        examples="  - {facts: {ports: {listening: []}}, expect: pass}\n"
        "  - {facts: {ports: {listening: [{protocol: tcp, address: 0.0.0.0, port: 23, reach: network, process: telnetd}"
        "]}}, expect: fail, items: ['23']}",
    ),
    "time/sync": CHECK.format(
        id="time.sync", area="time", ja="時計合わせ", en="The clock is kept right", severity="low",
        judgement="pass: time_sync.synchronized",
        examples="  - {facts: {time_sync: {synchronized: true}}, expect: pass}\n"
        "  - {facts: {time_sync: {synchronized: false}}, expect: fail}",
    ),
}  # fmt: skip

FRAMEWORK = """id: soumu-guideline
title: {ja: ガイドライン, en: Guideline}
edition: "令和7年3月版"
verified: false
controls:
  - id: "5.4(3)"
    title: {ja: パスワード, en: Passwords}
    checks: [password.length]
"""

ALERTS = Path(__file__).resolve().parents[3] / "rules" / "alerts"


@pytest.fixture(scope="session")
def rules_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    for name, text in CHECKS.items():
        path = folder / "checks" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "soumu-guideline.yaml").write_text(FRAMEWORK, encoding="utf-8")
    (folder / "alerts").mkdir()
    for file in ALERTS.glob("*.yaml"):
        (folder / "alerts" / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="session")
def rulebook(rules_folder: Path) -> Rulebook:
    return Rulebook(rules_folder)


class Town(Office):
    """An office that speaks of its machines in the words of these tests."""

    rulebook: Rulebook

    def tell(
        self,
        host_id: UUID,
        at: datetime,
        *,
        length: int | None = 12,
        telnet: bool = False,
        synchronized: bool | None = True,
        received_at: datetime | None = None,
    ) -> None:
        """A full report; None leaves the fact undetermined."""
        port = facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=23, reach="network", process="telnetd")
        policy = facts.PasswordPolicy() if length is None else facts.PasswordPolicy(min_length=length)
        clock = facts.TimeSync() if synchronized is None else facts.TimeSync(synchronized=synchronized)
        self.report(
            host_id,
            {
                "os": facts.Os(family="linux", id="debian", version="12"),
                "password_policy": policy,
                "ports": facts.Ports(listening=(port,) if telnet else ()),
                "time_sync": clock,
            },
            at,
            received_at=received_at,
        )

    def archived(self, month: str, now: datetime) -> Archived:
        return obtain(self.database, self.config, self.rulebook.rules, parse_month(month), now)

    def monthly(self, month: str, now: datetime) -> MonthlyReport:
        return self.archived(month, now).report


def area(report: MonthlyReport, name: str) -> AreaState:
    return next(state for state in report.areas if state.area == name)


@pytest.fixture
def town(tmp_path: Path, database_url: str, rulebook: Rulebook) -> Iterator[Town]:
    """On SQLite and on PostgreSQL in turn."""
    built = Town(tmp_path, database_url, rules=rulebook.current)
    built.rulebook = rulebook
    yield built
    built.database.close()


@pytest.fixture
def small_town(tmp_path: Path, rulebook: Rulebook) -> Iterator[Town]:
    """On SQLite alone, where the database is not what is being tested."""
    built = Town(tmp_path, rules=rulebook.current)
    built.rulebook = rulebook
    yield built
    built.database.close()
