"""Other rules: what is new, gone and otherwise is kept, logged, mailed and told on request."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from secmon import cli, judging, rejudging
from secmon.evaluate.catalogue import Catalogue, catalogue_of, difference
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook
from secmon.store import rulesets
from secmon.store.rulesets import KEPT, history
from secmon.store.schema import rulesets as table
from tests.secmon.alerts.desk import Desk
from tests.support.office import START, Office
from tests.support.site import own_check, write_site

GONE = "access.ssh-x11"
NEW = "software.town-telnet"
LOCK = "screen_lock.enabled"
ROOT_LOGIN = "access.ssh-root-login"


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """The shipped rules as another version may have them: one check more, one less, and one each with another
    condition, severity and limit."""
    folder = tmp_path / "upgraded"
    shutil.copytree(rules_dir(), folder)

    def change(check: str, old: str, new: str) -> None:
        file = folder / "checks" / f"{check.replace('.', '/', 1)}.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    (folder / "checks" / f"{GONE.replace('.', '/', 1)}.yaml").unlink()
    (folder / "checks" / "software" / "town-telnet.yaml").write_text(own_check(), encoding="utf-8")
    for file in (folder / "frameworks").glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(rf", {GONE}\b|\b{GONE}, |^ +- {GONE}\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    change(LOCK, "lock_s: {default: 900, mynumber: 600}", "lock_s: {default: 900, mynumber: 300, lgwan: 600}")
    change(ROOT_LOGIN, "severity: medium", "severity: high")
    change("firewall.filtering", "pass: firewall.filtering", "pass: firewall.filtering && firewall.filtering")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An office that had changed the check that the upgrade drops."""
    return write_site(tmp_path / "rules", {"overrides/joho.yaml": f"{GONE}: {{severity: low}}\n"})


Load = Callable[[Path], RuleSet]


@pytest.fixture
def load(site: Path) -> Load:
    return lambda shipped: load_rules(shipped, site)


def test_a_catalogue_tells_what_an_upgrade_brings(upgraded: Path, load: Load) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(catalogue_of(load(rules_dir()))), type=Catalogue)

    found = difference(stored, catalogue_of(load(upgraded)))

    assert (list(found.added), list(found.gone), found.shipped_changed) == ([NEW], [GONE], True)
    assert {change.check: (change.aspects, change.details) for change in found.changed} == {
        "firewall.filtering": (("condition",), ()),
        LOCK: (("limits",), ("lock_s (lgwan): - → 600", "lock_s (mynumber): 600 → 300")),
        ROOT_LOGIN: (("severity",), ("medium → high",)),
    }
    (misfit,) = found.misfits
    assert f"rules/overrides/joho.yaml:1: there is no check '{GONE}'" in misfit


def test_what_the_office_changes_is_told_as_its_own(tmp_path: Path) -> None:
    files = {
        "overrides/a.yaml": f"{LOCK}: {{disabled: {{reason: 別の仕組み}}}}",
        "lists/approved_software.yaml": "add: [ChatGPT]",
        "profiles/office-pc.yaml": "id: office-pc\ntitle: {ja: 端末, en: PC}\nhosts: [{os: windows}]",
    }
    shipped, own = load_rules(rules_dir()), load_rules(rules_dir(), write_site(tmp_path / "site", files))

    found = difference(catalogue_of(shipped), catalogue_of(own))

    aspects = {change.check: change.aspects for change in found.changed}
    assert not found.shipped_changed
    assert aspects[LOCK] == ("switched",)
    assert aspects["software.generative-ai"] == ("lists",)
    assert found.profiles == ("office-pc",)


def test_the_same_rules_are_no_news() -> None:
    rules = catalogue_of(load_rules(rules_dir()))

    assert difference(rules, rules).is_empty


def test_an_upgrade_is_logged_and_one_mail_tells_of_it(
    office: Office, upgraded: Path, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    office.rules = load(rules_dir())
    desk = Desk(office)
    judging.note_ruleset(office.database, office.rules, START)
    desk.settled("PC-001")
    office.rules = load(upgraded)

    with caplog.at_level(logging.INFO):
        assert judging.note_ruleset(office.database, office.rules, desk.later(minutes=1))
        assert not judging.note_ruleset(office.database, office.rules, desk.later(minutes=1))
    rejudging.repair(office.database, office.rules, office.config, desk.later(minutes=1))
    assert desk.dispatch() == 1

    assert f"{GONE}  " in caplog.text
    assert "lock_s (mynumber): 600 → 300" in caplog.text
    mail = str(desk.mails()[-1].get_content()).replace("\r\n", "\n")
    assert "■ 基準の違い（secmon の更新によるもの）" in mail
    assert "　増えた項目：1件\n　・町で禁止したソフトウェア\n" in mail
    assert "　なくなった項目：1件\n" in mail
    assert "　変わった項目：3件\n" in mail
    assert "役場の基準のうち、当てはまらず使われていないもの：1件" in mail
    assert "joho.yaml:1" in mail


def test_several_changes_before_a_mail_are_told_as_one(office: Office, upgraded: Path, load: Load) -> None:
    first, second = load(rules_dir()), load(upgraded)
    for minute, rules in enumerate((first, second, first)):
        judging.note_ruleset(office.database, rules, START + timedelta(minutes=minute))

    with office.database.read() as connection:
        step = rulesets.difference_over(connection, [second.version])
        whole = rulesets.difference_over(connection, [second.version, first.version])
        begin = rulesets.difference_over(connection, ["unheard"])

    assert step is not None
    assert list(step.added) == [NEW]
    assert whole is None or whole.gone == {}
    assert begin is None


def test_rules_of_which_nothing_is_kept_are_no_obstacle(office: Office) -> None:
    with office.database.write() as connection:
        connection.execute(sa.insert(table).values(version="before", loaded_at=START, checks=3))

    assert judging.note_ruleset(office.database, office.rules, START + timedelta(hours=1))
    with office.database.read() as connection:
        assert rulesets.difference_over(connection, [office.rules.version]) is None
        assert [each.catalogue is None for each in history(connection)] == [False, True]


def test_only_the_newest_catalogues_are_kept(office: Office) -> None:
    empty = Catalogue(version="", shipped="", checks={})
    with office.database.write() as connection:
        for number in range(KEPT + 3):
            version = msgspec.structs.replace(empty, version=f"v{number}")
            rulesets.write(connection, version, START + timedelta(days=number))
        kept = connection.execute(sa.select(table.c.version).where(table.c.catalogue != "")).scalars().all()
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == KEPT + 3

    assert set(kept) == {f"v{number}" for number in range(3, KEPT + 3)}


@pytest.fixture
def town(tmp_path: Path, site: Path) -> Office:
    """Where the shipped rules with the office's own were taken first."""
    built = Office(tmp_path)
    judging.note_ruleset(built.database, load_rules(rules_dir(), site), START)
    return built


def run(settings: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--config", str(settings)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_people_ask_what_an_upgrade_brought_before_and_after_it_is_taken(
    town: Office, upgraded: Path, load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "secmon.toml"
    settings.write_text(f'data_dir = "{tmp_path}"\n[rules]\nfolder = "{upgraded}"\n', encoding="utf-8")
    first = load(rules_dir()).version

    status, before, _ = run(settings, capsys, "rules", "changes")
    judging.note_ruleset(town.database, load(upgraded), START + timedelta(days=1))
    _, after, _ = run(settings, capsys, "rules", "changes")
    _, told, _ = run(settings, capsys, "rules", "changes", "--since", first, "--json", "--lang", "en")
    _, listed, _ = run(settings, capsys, "rules", "history")
    unknown = run(settings, capsys, "rules", "changes", "--since", "unheard")

    assert (status, before) == (0, after)
    assert "（付属の基準が変わりました）\n  増えた項目：1 件\n    software.town-telnet  町で禁止した" in after
    assert f"    {LOCK}  離席時の画面ロック（基準値）  lock_s (lgwan): - → 600; lock_s (mynumber): 600 → 300" in after
    assert json.loads(told)["old"] == first
    assert [line.split()[2] for line in listed.splitlines()] == [load(upgraded).version, first]
    assert unknown[0] == 2
    assert "see `secmon rules history`" in unknown[2]


def test_a_collector_starts_by_rules_that_an_override_no_longer_fits(upgraded: Path, site: Path) -> None:
    rulebook = Rulebook(upgraded, site)

    assert rulebook.trouble == ""
    assert [misfit.line for misfit in rulebook.current.misfits] == [1]


def test_an_offices_folder_is_tried_before_it_counts(
    tmp_path: Path, town: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = f"{LOCK}: {{limits: {{lock_s: 60}}}}\nx.y: {{severity: low}}"
    trial = write_site(tmp_path / "trial", {"overrides/a.yaml": overrides})
    with pytest.raises(SystemExit) as ended:
        cli.main(["rules", "try", str(trial), "--data-dir", str(tmp_path), "--json"])
    said = capsys.readouterr()

    assert ended.value.code == 0
    assert json.loads(said.out)["machines"] == 0
    assert "there is no check 'x.y'" in said.err


def test_an_offices_folder_is_checked_beside_the_shipped_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = write_site(tmp_path / "trial", {"overrides/a.yaml": "x.y: {severity: low}"})
    with pytest.raises(SystemExit) as ended:
        cli.main(["rules", "check", str(trial), "--data-dir", str(tmp_path)])

    assert ended.value.code == 1
    assert "trial/overrides/a.yaml:1: there is no check 'x.y'" in capsys.readouterr().out


def test_the_guide_for_offices_shows_files_that_are_taken(tmp_path: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "own-rules.ja.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^`(\w+/[\w.-]+\.yaml)`\n\n```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL))
    assert len(files) == guide.count("```yaml")

    rules = load_rules(rules_dir(), write_site(tmp_path / "site", files))

    assert rules.misfits == ()
    assert len(rules.overrides) == 4
    assert "ChatGPT Enterprise" in rules.lists["approved_software"]
