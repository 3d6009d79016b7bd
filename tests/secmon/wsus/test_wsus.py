"""What a WSUS says stands beside what the machines say, each difference with its reason. The export is made from
documentation (docs/wsus-compare.ja.md); no real one has been seen."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secmon import cli
from secmon.ledger.table import TableError
from secmon.wsus.compare import OurMachine, Reason, compare
from secmon.wsus.export import COLUMNS, DEFINITIONS, DRIVERS, Update, WsusMachine, read_export
from secmon.wsus.tell import REASONS, report
from secmon_agent import facts
from tests.support.office import Office, linux

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
SECURITY = "0fa1201d-4330-4fa8-8ae9-b877473b6441"


def written(*rows: tuple[str, ...], encoding: str = "utf-8-sig") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue().encode(encoding)


def ours(*pending: str, **given: object) -> OurMachine:
    values = {"name": "PC-01", "hostname": "pc-01", "searched_at": NOW, "source": "wsus", **given}
    return OurMachine(pending=pending, **values)  # type: ignore[arg-type]


def theirs(*updates: Update, reported_at: datetime | None = NOW, name: str = "pc-01.town.local") -> WsusMachine:
    return WsusMachine(name=name, reported_at=reported_at, updates=updates)


def update(name: str, **given: str) -> Update:
    return Update(
        **({"name": name, "classification": SECURITY, "state": "NotInstalled", "approval": "Install"} | given)
    )


@pytest.mark.parametrize(
    ("mine", "other", "reason"),
    [
        (ours(), theirs(update("KB5000001", approval="NotApproved")), "unapproved"),
        (ours(), theirs(update("KB2267602", classification=DEFINITIONS)), "definitions"),
        (ours(definitions=frozenset({"KB2267602"})), theirs(update("KB2267602")), "definitions"),
        (ours(), theirs(update("a-driver", classification=DRIVERS)), "driver"),
        (ours(), theirs(update("KB5000001", state="InstalledPendingReboot")), "reboot_pending"),
        (ours(), theirs(update("KB5000001"), reported_at=NOW + timedelta(days=2)), "secmon_heard_earlier"),
        (ours(searched_at=None), theirs(update("KB5000001")), "secmon_heard_earlier"),
        (ours("KB5000001"), theirs(reported_at=NOW - timedelta(days=9)), "wsus_heard_earlier"),
        (ours("KB5000001"), theirs(reported_at=None), "wsus_heard_earlier"),
        (ours("KB5000001", source="internet"), theirs(), "other_source"),
        (ours("KB5000001", hidden=frozenset({"KB5000001"})), theirs(), "hidden"),
        (ours("KB5000001"), theirs(update("KB5000001", state="Unknown")), "wsus_unknown"),
        (ours("KB5000001"), theirs(), "unexplained"),
        (ours(), theirs(update("KB5000001", state="Failed")), "unexplained"),
    ],
)
def test_it_says_why_the_two_differ(mine: OurMachine, other: WsusMachine, reason: Reason) -> None:
    (found,) = compare([mine], [other])

    assert [difference.reason for difference in found.differences] == [reason]
    assert REASONS[reason].ja in "\n".join(report([found], "ja", UTC))


def test_it_finds_no_difference_where_both_name_the_same() -> None:
    (found,) = compare([ours("KB5000001", "kb5000002")], [theirs(update("KB5000001"), update("KB5000002"))])

    assert (found.secmon_count, found.wsus_count, found.differences) == (2, 2, ())


def test_it_compares_nothing_with_what_is_not_known() -> None:
    unknown = OurMachine(name="PC-01", hostname="pc-01", pending=None)

    (found,) = compare([unknown], [theirs(update("KB5000001"))])
    last = list(report([found], "en", UTC))[-1]

    assert (found.secmon_count, found.wsus_count, found.differences) == (None, 1, ())
    assert "1 cannot be compared" in last


def test_it_lists_machines_that_only_one_of_them_knows_and_puts_no_double_beside_another() -> None:
    doubles = [theirs(name="pc-02.town.local"), theirs(name="pc-02.school.local")]
    found = compare(
        [ours(), ours(name="PC-02", hostname="pc-02"), ours(name="PC-03", hostname="pc-03")], [theirs(), *doubles]
    )

    assert [(each.host, each.wsus_name) for each in found] == [
        ("PC-01", "pc-01.town.local"),
        ("PC-02", ""),
        ("", "pc-02.school.local"),
        ("", "pc-02.town.local"),
        ("PC-03", ""),
    ]


def test_it_reads_an_export_with_several_kb_numbers_and_machines_without_updates() -> None:
    data = written(
        ("pc-02.town.local", "2026-11-27T00:00:00Z", "", "", "", "", ""),
        (
            "PC-01.town.local",
            "2026-11-27T00:00:00",
            "{g}",
            "5000001 KB5000002",
            "{" + SECURITY.upper() + "}",
            "Failed",
            "Install",
        ),
        ("pc-03.town.local", "0001-01-01T00:00:00Z", "ABCD-EF", "", DRIVERS, "NotInstalled", "Install"),
        encoding="utf-8",
    )

    first, second, third = read_export(data)

    assert (first.name, first.hostname) == ("PC-01.town.local", "pc-01")
    assert first.reported_at == datetime(2026, 11, 27, tzinfo=UTC)
    assert [(each.name, each.classification, each.state) for each in first.updates] == [
        ("KB5000001", SECURITY, "Failed"),
        ("KB5000002", SECURITY, "Failed"),
    ]
    assert second.updates == ()
    assert (third.reported_at, third.updates[0].name) == (None, "abcd-ef")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"Computer,Needed\npc,3\n", "the first row must name the columns"),
        (b"", "the first row must name the columns"),
        (written(("pc", "yesterday", "", "", "", "", "")), "row 2: LastReportedStatusTime 'yesterday'"),
        (written(("pc", "", "g", "", "", "未インストール", "")), "row 2: State"),
        (written(("", "", "", "", "", "", "x")), "row 2: no FullDomainName"),
    ],
)
def test_it_refuses_an_export_of_another_shape(data: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_export(data)


def test_it_compares_the_machines_that_are_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    pending = (facts.PendingUpdate(package="KB5000001", security=True),)
    windows = {
        "host": facts.Host(hostname="PC-01"),
        "os": facts.Os(family="windows", id="windows"),
        "boot": facts.Boot(reboot_pending=True),
        "patches": facts.Patches(manager="wua", lists_updated_at=NOW, pending=pending, update_source="wsus"),
    }
    office.report(office.add_host("pc-01"), windows, NOW)
    office.report(office.add_host("server"), linux(), NOW)
    file = tmp_path / "wsus.csv"
    file.write_bytes(
        written(("pc-01.town.local", NOW.isoformat(), "g", "5000009", SECURITY, "NotInstalled", "NotApproved"))
    )

    told = []
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["patches", "compare", "--wsus", str(file), "--data-dir", str(tmp_path), *more])
        assert ended.value.code == 0
        told.append(capsys.readouterr().out)

    assert "pc-01：secmon 1 件、WSUS 1 件" in told[0]
    assert "再起動待ちです" in told[0]
    assert "WSUS のみ: WSUS で未承認" in told[0]
    assert [each["host"] for each in json.loads(told[1])["machines"]] == ["pc-01"]


def test_it_takes_a_kb_that_several_updates_share_for_needed_when_one_of_them_is() -> None:
    def row(update: str, state: str) -> tuple[str, ...]:
        return ("pc-01", "2026-11-27T00:00:00Z", update, "5000001", SECURITY, state, "Install")

    (machine,) = read_export(written(row("{a}", "Unknown"), row("{b}", "NotInstalled"), row("{c}", "Unknown")))

    assert [(each.name, each.state) for each in machine.updates] == [("KB5000001", "NotInstalled")]
