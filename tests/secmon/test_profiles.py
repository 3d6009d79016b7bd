"""Profiles and the office's own rules over stored machines: what ends and begins, with which cause, and who sees it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon import cli, judging
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.rejudging import repair
from secmon.resources import rules_dir
from secmon.store.hosts import set_attribute
from secmon.store.schema import findings, results
from secmon_agent import facts
from tests.secmon.console.browsing import Browser
from tests.support.office import START, Office, linux
from tests.support.site import own_check, write_site

HOUR = timedelta(hours=1)
ROOT_LOGIN = "access.ssh-root-login"
LOCK = "screen_lock.enabled"
WORKSTATION = """\
id: workstation
title: {ja: 庁内の作業端末, en: Workstation}
hosts:
  - {role: workstation}
exclude:
  checks: [access.ssh-root-login]
limits:
  screen_lock.enabled: {lock_s: 3600}
"""


def own_rules(folder: Path, files: Mapping[str, str]) -> RuleSet:
    return load_rules(rules_dir(), write_site(folder / "rules", files))


@pytest.fixture
def adapted(tmp_path: Path) -> RuleSet:
    return own_rules(tmp_path, {"profiles/workstation.yaml": WORKSTATION})


def sections(lock_s: int = 1800) -> dict[str, object]:
    server = facts.SshServer(permit_root_login="yes")
    return linux(
        remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server),
        screen_lock=facts.ScreenLock(enabled=True, timeout_s=lock_s),
    )  # type: ignore[return-value]


def intervals(office: Office, host: uuid.UUID, check: str) -> list[tuple[str, str]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(results.c.status, results.c.cause)
            .where(results.c.host_id == host, results.c.check_id == check)
            .order_by(results.c.revision)
        )
        return [(row.status, row.cause) for row in rows]


def test_a_new_profile_ends_answers_by_the_rules(office: Office, adapted: RuleSet) -> None:
    host = office.add_host("ws1", role="workstation")
    office.report(host, sections())  # type: ignore[arg-type]

    repair(office.database, adapted, office.config, START + HOUR)

    assert intervals(office, host, ROOT_LOGIN) == [("fail", "baseline"), ("not_applicable", "rules")]
    assert intervals(office, host, LOCK) == [("fail", "baseline"), ("pass", "rules")]
    with office.database.read() as connection:
        states = connection.execute(sa.select(findings.c.state).where(findings.c.check_id == ROOT_LOGIN)).scalars()
        assert set(states) == {"resolved"}


def test_another_role_is_another_profile_and_ends_answers_by_the_attributes(office: Office, adapted: RuleSet) -> None:
    office.rules = adapted
    host = office.add_host("ws1", role="workstation")
    office.report(host, sections())  # type: ignore[arg-type]
    assert intervals(office, host, ROOT_LOGIN) == [("not_applicable", "baseline")]

    with office.database.write() as connection:
        set_attribute(connection, host, "role", "linux-server", START + HOUR)
        occasion = judging.Occasion(cause="attributes", at=START + HOUR, recorded_at=START + HOUR)
        judging.rejudge_host(connection, adapted, office.config, host, occasion)

    assert intervals(office, host, ROOT_LOGIN) == [("not_applicable", "baseline"), ("fail", "attributes")]
    assert intervals(office, host, LOCK) == [("pass", "baseline"), ("fail", "attributes")]


def test_another_system_is_another_profile_though_no_other_fact_changed(office: Office, tmp_path: Path) -> None:
    profile = WORKSTATION.replace("{role: workstation}", "{os: debian}")
    office.rules = own_rules(tmp_path, {"profiles/workstation.yaml": profile})
    host = office.add_host("ws1")
    office.report(host, sections())  # type: ignore[arg-type]
    assert intervals(office, host, ROOT_LOGIN) == [("not_applicable", "baseline")]

    office.report(host, {"os": facts.Os(family="linux", id="ubuntu", version="24.04")}, START + HOUR)

    assert intervals(office, host, ROOT_LOGIN) == [("not_applicable", "baseline"), ("fail", "machine")]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Office]:
    """With rules of its own beside its data, which commands find there."""
    (tmp_path / "rules" / "profiles").mkdir(parents=True)
    (tmp_path / "rules" / "profiles" / "workstation.yaml").write_text(WORKSTATION, encoding="utf-8")
    built = Office(tmp_path, rules=load_rules(rules_dir(), tmp_path / "rules"))
    built.report(built.add_host("ws1", role="workstation"), sections())  # type: ignore[arg-type]
    built.report(built.add_host("other"), sections())  # type: ignore[arg-type]
    yield built
    built.database.close()


def said(office: Office, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--data-dir", office.config.data_dir])
    assert not ended.value.code
    return capsys.readouterr().out


def test_the_list_of_machines_names_their_profiles(town: Office, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {line.split()[0]: line.split()[3] for line in said(town, capsys, "host", "list").splitlines()}

    assert lines == {"ws1": "workstation", "other": "-"}


def test_one_machine_is_shown_with_what_its_profile_changes(town: Office, capsys: pytest.CaptureFixture[str]) -> None:
    japanese = said(town, capsys, "host", "show", "ws1")
    told = json.loads(said(town, capsys, "host", "show", "ws1", "--json"))
    other = said(town, capsys, "host", "show", "other")

    assert "プロファイル: workstation  庁内の作業端末" in japanese
    assert f"  {ROOT_LOGIN}  この種類の機器（プロファイル：workstation）では調べない項目です。" in japanese
    assert f"  {LOCK} lock_s: 600 → 3600" in japanese
    assert (told["profile"], told["limits"][LOCK]) == ("workstation", {"lock_s": [600, 3600]})
    assert "プロファイル: なし（すべての項目を調べます）" in other


def test_an_explanation_names_the_profile_and_the_limit_before_it(
    town: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = said(town, capsys, "rules", "explain", LOCK, "--host", "ws1", "--lang", "en")
    login = said(town, capsys, "rules", "explain", ROOT_LOGIN, "--host", "ws1")

    assert "profile: workstation" in lock
    assert "lock_s = 3600 (written: 600)" in lock
    assert "答え: 対象外" in login


def test_the_machines_page_names_its_profile(town: Office) -> None:
    browser = Browser(town)
    with browser.client:
        browser.sign_in()
        page, other = browser.get("/hosts/ws1").text, browser.get("/hosts/other").text

    assert "庁内の作業端末" in page
    assert "この種類の機器（プロファイル：workstation）では調べない項目です。" in page
    assert "なし（すべての項目を調べます）" in other


def test_a_checks_page_says_what_the_office_changed(tmp_path: Path) -> None:
    overrides = f"""\
{LOCK}: {{limits: {{lock_s: {{lgwan: 300}}}}, severity: high, reason: 町の規程第9条}}
{ROOT_LOGIN}: {{disabled: {{reason: 別の仕組みで確認, zones: [lgwan]}}}}
"""
    files = {"overrides/joho.yaml": overrides, "checks/software/town-telnet.yaml": own_check()}
    office = Office(tmp_path, rules=own_rules(tmp_path, files))
    browser = Browser(office)
    with browser.client:
        browser.sign_in()
        lock, login, own, plain = (
            browser.get(f"/checks/{check}").text
            for check in (LOCK, ROOT_LOGIN, "software.town-telnet", "firewall.filtering")
        )
    office.database.close()

    assert "<code>lock_s (lgwan)</code> 900 → 300" in lock
    assert "町の規程第9条" in lock
    assert "<code>lgwan</code>：別の仕組みで確認" in login
    assert "役場が独自に加えた項目" in own
    assert "役場で変更したところ" not in plain
