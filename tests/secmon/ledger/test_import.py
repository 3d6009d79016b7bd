"""The ledger is taken in: machines get what it says of them, now or from a day to come, and differences are listed."""

from __future__ import annotations

import csv
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon import cli
from secmon.evaluate.ruleset import load_rules
from secmon.judging import apply_planned
from secmon.ledger.plan import Known, make_plan
from secmon.ledger.rows import LedgerRow
from secmon.resources import rules_dir
from secmon.store.hosts import attributes_of, set_attribute
from secmon.store.ledger import adopt, due_hosts, list_row, open_plans, plan_attributes
from secmon.store.life import Act, replace
from secmon.store.schema import assets, audit, host_attributes, planned_attributes, results
from tests.support.office import Office, linux

NOW = datetime.now(UTC)
HEAD = ("資産番号", "機器名", "シリアル番号", "ネットワーク", "部署", "設置場所", "管理者")
FIRST = datetime(2027, 3, 31, 15, 0, tzinfo=UTC)
"""2027-04-01, 00:00 in Japan."""
APRIL = date(2027, 4, 1)


def ledger(folder: Path, *rows: tuple[str, ...]) -> Path:
    file = folder / "daicho.csv"
    with file.open("w", encoding="cp932", newline="") as stream:
        csv.writer(stream).writerows([HEAD, *rows])
    return file


class Desk:
    """The command line of an office with a settings file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "data").mkdir()
        self.office = Office(folder / "data")
        self.folder = folder
        self._capsys = capsys
        self._settings = folder / "secmon.toml"
        self._settings.write_text('[[zones]]\nid = "lgwan"\nname = "LGWAN接続系"\n', encoding="utf-8")

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*map(str, words), "--config", str(self._settings)])
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    def attributes(self, host_id: uuid.UUID) -> dict[str, str]:
        with self.office.database.read() as connection:
            return attributes_of(connection, [host_id]).get(host_id, {})


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


ROWS = (
    ("A-1", "PC-01", "", "LGWAN接続系", "総務課", "本庁1階", "総務課長"),
    ("A-2", "PC-99", "", "LGWAN接続系", "税務課", "", ""),
    ("", "PC-02", "", "", "", "", ""),
)


def test_it_says_what_would_change_and_changes_nothing(desk: Desk) -> None:
    desk.office.report(pc := desk.office.add_host("pc-01"), linux(), NOW)

    status, out, _ = desk.run("ledger", "import", ledger(desk.folder, *ROWS), "--dry-run")

    assert status == 1
    assert "row 4: not taken: no asset number" in out
    assert "row 2: pc-01 is A-1" in out
    assert "row 2: pc-01: zone - → lgwan" in out
    assert "row 3: A-2 PC-99: no machine reports for it" in out
    assert "nothing was changed" in out
    assert desk.attributes(pc) == {}


def test_it_takes_the_good_rows_and_judges_by_them_at_once(desk: Desk) -> None:
    desk.office.report(pc := desk.office.add_host("pc-01"), linux(), NOW)

    status, out, _ = desk.run("ledger", "import", ledger(desk.folder, *ROWS))
    again = desk.run("ledger", "import", ledger(desk.folder, *ROWS))[1]

    assert status == 1
    assert "2 rows taken, 1 rows not taken, 1 machines linked, 4 attributes changed" in out
    assert "0 machines linked, 0 attributes changed" in again
    assert desk.attributes(pc) == {"zone": "lgwan", "department": "総務課", "location": "本庁1階", "owner": "総務課長"}
    with desk.office.database.read() as connection:
        causes = connection.execute(
            sa.select(results.c.cause, results.c.status).where(
                results.c.check_id == "zone.assigned", results.c.observed_to.is_(None)
            )
        ).all()
        acts = connection.execute(sa.select(audit.c.action)).scalars().all()
    assert [tuple(row) for row in causes] == [("attributes", "pass")]
    assert acts.count("ledger.import") == 2


def test_it_compares_the_ledger_with_the_machines(desk: Desk) -> None:
    desk.office.report(desk.office.add_host("pc-01"), linux(), NOW)
    desk.office.report(desk.office.add_host("stranger"), linux(), NOW)
    desk.run("ledger", "import", ledger(desk.folder, *ROWS))

    status, out, _ = desk.run("ledger", "compare")

    assert status == 1
    assert "台帳にあるが報告のない機器: 1\n  A-2  PC-99" in out
    assert "報告しているが台帳にない機器: 1\n  stranger" in out


def test_it_plans_what_holds_from_a_day_to_come(desk: Desk) -> None:
    desk.office.report(pc := desk.office.add_host("pc-01", department="総務課"), linux(), NOW)
    row = ("A-1", "pc-01", "", "", "総務デジタル課", "", "")

    status, out, _ = desk.run("ledger", "import", ledger(desk.folder, row), "--effective", "2027-04-01")
    planned = desk.run("ledger", "planned")[1]
    again = desk.run("ledger", "import", ledger(desk.folder, row), "--effective", "2027-04-01")[1]
    cancelled = desk.run("ledger", "planned", "--cancel", "2027-04-01")[1]

    assert status == 0
    assert "department 総務課 → 総務デジタル課 from 2027-04-01" in out
    assert planned == "2027-04-01  pc-01  department  総務デジタル課\n"
    assert "0 attributes changed" in again
    assert desk.attributes(pc)["department"] == "総務課"
    assert "1 attributes planned for 2027-04-01 are cancelled" in cancelled
    assert desk.run("ledger", "planned")[1] == ""


def test_it_takes_the_same_attributes_one_by_one(desk: Desk) -> None:
    pc = desk.office.add_host("pc-01")

    status, _, _ = desk.run("host", "set", "pc-01", "--owner", "総務課長", "--department-code", "0101")
    long = desk.run("host", "set", "pc-01", "--department-code", "x" * 65)

    assert status == 0
    assert desk.attributes(pc) == {"owner": "総務課長", "department_code": "0101"}
    assert (long[0], "--department-code: at most 64 characters" in long[2]) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--effective", "2020-04-01"), "the past stays as it was"),
        (("--effective", "April"), "is no date"),
        (("--map", "nowhere.toml"), "cannot be read"),
    ],
)
def test_it_refuses_what_cannot_be(desk: Desk, words: tuple[str, ...], said: str) -> None:
    status, _, err = desk.run("ledger", "import", ledger(desk.folder, *ROWS), *words)

    assert status == 2
    assert said in err


def test_it_refuses_a_map_that_leads_nowhere(desk: Desk) -> None:
    file = desk.folder / "map.toml"
    said = []
    for text in ('[zones]\n"基幹系" = "mynumbr"\n', '[columns]\nplace = "場所"\n', "[columns\n", "[colums]\n"):
        file.write_text(text, encoding="utf-8")
        status, _, err = desk.run("ledger", "import", ledger(desk.folder, *ROWS), "--map", file)
        assert status == 2
        said.append(err)

    assert "there is no zone 'mynumbr' in the settings" in said[0]
    assert "columns.place: the fields are asset_number" in said[1]
    assert all("map.toml" in err for err in said)


def planned(office: Office, host_id: uuid.UUID, value: str = "総務デジタル課", at: datetime = NOW) -> None:
    with office.database.write() as connection:
        plan_attributes(connection, host_id, {"department": value}, APRIL, at)


def intervals(office: Office, host_id: uuid.UUID) -> list[tuple[str, datetime, datetime | None]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(host_attributes.c.value, host_attributes.c.valid_from, host_attributes.c.valid_to)
            .where(host_attributes.c.host_id == host_id, host_attributes.c.name == "department")
            .order_by(host_attributes.c.valid_from)
        )
        return [tuple(row) for row in rows]


def test_it_lets_a_plan_hold_from_the_first_moment_of_its_day_even_when_nobody_was_there(office: Office) -> None:
    office.report(pc := office.add_host("pc-01", department="総務課", at=NOW), linux(), NOW)
    planned(office, pc, "一時の課", NOW - timedelta(hours=1))
    planned(office, pc)
    before = FIRST - timedelta(seconds=1)
    rules = load_rules(rules_dir())

    early = apply_planned(office.database, rules, office.config, before)
    late = apply_planned(office.database, rules, office.config, FIRST + timedelta(days=3))
    again = apply_planned(office.database, rules, office.config, FIRST + timedelta(days=4))

    assert (early, late, again) == (0, 1, 0)
    assert intervals(office, pc) == [("総務課", NOW, FIRST), ("総務デジタル課", FIRST, None)]
    with office.database.read() as connection:
        assert attributes_of(connection, [pc], before)[pc]["department"] == "総務課"
        outcomes = connection.execute(sa.select(planned_attributes.c.outcome)).scalars().all()
    assert sorted(outcomes) == ["applied", "replaced"]


def test_it_leaves_what_was_said_after_the_day_of_the_plan(office: Office) -> None:
    pc = office.add_host("pc-01", department="総務課", at=NOW)
    planned(office, pc)
    with office.database.write() as connection:
        set_attribute(connection, pc, "department", "住民課", FIRST + timedelta(hours=9))

    assert apply_planned(office.database, load_rules(rules_dir()), office.config, FIRST + timedelta(days=1)) == 0
    assert intervals(office, pc)[-1][0] == "住民課"
    with office.database.read() as connection:
        assert due_hosts(connection, APRIL) == []


def test_it_moves_a_plan_to_the_machine_that_takes_the_place(office: Office) -> None:
    office.report(old := office.add_host("old"), linux(), NOW)
    office.report(office.add_host("new"), linux(), NOW)
    planned(office, old)

    with office.database.write() as connection:
        replace(connection, "old", "new", Act(actor="test", now=NOW))
        found = [(row.host, row.value, row.effective_on) for row in open_plans(connection)]

    assert found == [("new", "総務デジタル課", "2027-04-01")]


def test_it_gives_an_enrolling_machine_what_its_row_says(office: Office) -> None:
    row = LedgerRow(number=2, asset_number="A-7", serial="SN-7", attributes={"zone": "lgwan", "department": "総務課"})
    by_serial = office.add_host("by-serial", zone="internet")
    stranger = office.add_host("stranger")
    with office.database.write() as connection:
        list_row(connection, row, NOW)
        adopt(connection, by_serial, None, "sn-7", NOW)
        adopt(connection, stranger, "A-7", None, NOW)
        said = attributes_of(connection, [by_serial, stranger])

    assert said == {by_serial: {"zone": "internet", "department": "総務課"}}


def machine(name: str, **given: str) -> Known:
    return Known(host_id=uuid.uuid5(uuid.NAMESPACE_DNS, name), name=name, hostname=name, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "found", "wrong"),
    [
        (LedgerRow(number=2, asset_number="A-1", name="other"), "one", ""),
        (LedgerRow(number=2, asset_number="A-9", serial="s2"), "two", ""),
        (LedgerRow(number=2, asset_number="a-3", name="nobody"), "three", ""),
        (LedgerRow(number=2, asset_number="A-9", name="THREE"), "three", ""),
        (LedgerRow(number=2, asset_number="A-9", name="nobody"), None, ""),
        (LedgerRow(number=2, asset_number="A-1", serial="S2"), None, "serial number of two"),
        (LedgerRow(number=2, asset_number="A-9", name="one"), None, "name of one, which stands for A-1 already"),
        (LedgerRow(number=2, asset_number="A-9", serial="same"), None, "two machines have this serial number"),
    ],
)
def test_it_finds_the_machine_of_a_row_as_enrollment_does(row: LedgerRow, found: str | None, wrong: str) -> None:
    machines = [
        machine("one", asset_number="A-1"),
        machine("two", serial="S2"),
        machine("three", told_number="A-3"),
        machine("four", serial="same"),
        machine("five", serial="same"),
    ]

    plan = make_plan([row], [], machines)

    assert [each.machine and each.machine.name for each in plan.taken] == ([] if wrong else [found])
    assert all(wrong in each.reason for each in plan.bad)
    assert len(plan.bad) == bool(wrong)


def test_it_gives_no_machine_to_two_rows() -> None:
    rows = [LedgerRow(number=2, asset_number="A-1", name="pc"), LedgerRow(number=3, asset_number="A-2", name="PC")]

    plan = make_plan(rows, [], [machine("pc")])

    assert [(each.number, each.reason) for each in plan.bad] == [(3, "pc is the machine of row 2 already")]


def test_it_notes_a_serial_number_that_the_machine_does_not_have() -> None:
    rows = [LedgerRow(number=2, asset_number="A-1", name="pc", serial="X")]

    plan = make_plan(rows, [], [machine("pc", serial="Y")])

    assert [each.reason for each in plan.notes] == ["serial number X in the ledger, Y on pc"]
    assert len(plan.taken) == 1


def test_it_takes_off_what_the_whole_ledger_lacks_and_nothing_while_a_row_is_bad(desk: Desk) -> None:
    good = (ROWS[0], ROWS[1])
    desk.run("ledger", "import", ledger(desk.folder, *good))

    bad = desk.run("ledger", "import", ledger(desk.folder, ROWS[0], ROWS[2]), "--complete")
    partly = desk.run("ledger", "import", ledger(desk.folder, ROWS[0]))
    tried = desk.run("ledger", "import", ledger(desk.folder, ROWS[0]), "--complete", "--dry-run")
    ahead = desk.run("ledger", "import", ledger(desk.folder, ROWS[0]), "--complete", "--effective", tomorrow())
    assert in_force(desk) == ["A-1", "A-2"]
    assert "taken off" not in bad[1] + partly[1]
    assert "nothing is taken off the ledger while rows of it cannot be taken" in bad[2]
    assert "A-2 PC-99: not in this file, taken off the ledger" in tried[1]
    assert ahead[0] == 2

    status, out, _ = desk.run("ledger", "import", ledger(desk.folder, ROWS[0]), "--complete")
    assert (status, in_force(desk)) == (0, ["A-1"])
    assert "1 rows taken off" in out
    desk.run("ledger", "import", ledger(desk.folder, *good))
    assert in_force(desk) == ["A-1", "A-2"]


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=2)).date().isoformat()


def in_force(desk: Desk) -> list[str]:
    with desk.office.database.read() as connection:
        query = sa.select(assets.c.asset_number).where(assets.c.removed_at.is_(None))
        return list(connection.execute(query.order_by(assets.c.asset_number)).scalars())


def test_it_links_a_machine_by_hand_to_a_row_that_is_free_and_takes_over_what_it_says(desk: Desk) -> None:
    desk.office.report(first := desk.office.add_host("pc-a", zone="internet"), linux(), NOW)
    desk.office.add_host("pc-b")
    desk.run("ledger", "import", ledger(desk.folder, ROWS[1]))

    assert desk.run("host", "set", "pc-a", "--asset-number", "A-2")[0] == 0
    assert desk.attributes(first) == {"zone": "internet", "department": "税務課"}
    status, _, said = desk.run("host", "set", "pc-b", "--asset-number", "A-2")
    assert (status, "A-2 is pc-a already" in said) == (1, True)

    assert desk.run("host", "store", "pc-a")[0] == 0
    desk.run("host", "retire", "pc-a")
    assert desk.run("host", "set", "pc-a", "--asset-number", "A-2")[0] == 1, "it is history"
    assert desk.run("host", "set", "pc-b", "--asset-number", "A-2")[0] == 0
