"""What people see."""

from __future__ import annotations

import re
from datetime import timedelta

import sqlalchemy as sa
from msgspec import Struct

from secmon import judging
from secmon.console import queries
from secmon.console.queries import Choice
from secmon.evaluate.model import SEVERITIES
from secmon.store.schema import assets, hosts
from secmon_agent import facts, wire
from tests.secmon.console.browsing import Browser
from tests.support.office import START, Office, linux

HOSTILE = '<script>alert("x")</script>'


def telnet() -> dict[str, Struct]:
    """A server with a port open to the network that no machine should have."""
    port = facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=23, reach="network", process="telnetd")
    return linux(ports=facts.Ports(listening=(port,)))


def names_in(page: str) -> list[str]:
    return re.findall(r'class="host"><a href="[^"]*">([^<]*)</a>', page)


def test_it_explains_how_to_enroll_the_first_machine(browser: Browser) -> None:
    page = browser.page("/")
    assert "まだ機器が登録されていません" in page
    assert "secmon enroll" in page
    assert "secmon-agent enroll" in page


def test_it_lists_machines_worst_first(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("a-good", zone="lgwan", role="server"), linux())
    office.add_host("b-never", zone="lgwan")
    office.report(office.add_host("c-bad", zone="lgwan", role="server"), telnet())
    assert names_in(browser.page("/"))[0] == "c-bad"
    order = names_in(browser.page("/"))
    assert order.index("b-never") < order.index("a-good")


def test_it_counts_what_never_reported_as_unknown(office: Office) -> None:
    office.add_host("never", zone="lgwan")
    office.report(office.add_host("here", zone="lgwan"), linux())
    with office.database.read() as connection:
        fleet = queries.fleet(connection, Choice(), office.config, office.rules, START)
    never = next(host for host in fleet.hosts if host.name == "never")
    assert never.unknown == len(office.rules.checks)
    assert fleet.contact == {"reporting": 1, "silent": 0, "never_reported": 1, "stored": 0}
    assert {area.area for area in fleet.areas} == {check.area for check in office.rules.checks.values()}
    for area in fleet.areas:
        assert sum(area.hosts.values()) == 2
        assert area.hosts["unknown"] >= 1


def test_it_counts_an_area_by_the_worst_answer(office: Office) -> None:
    office.report(office.add_host("bad", zone="lgwan", role="server"), telnet())
    office.report(office.add_host("good", zone="lgwan", role="server"), linux())
    with office.database.read() as connection:
        fleet = queries.fleet(connection, Choice(), office.config, office.rules, START)
    ports = next(area for area in fleet.areas if area.area == "ports")
    assert ports.hosts["fail"] == 1
    assert dict(fleet.failing_checks)["ports.exposed-high-risk"] == 1


def test_it_chooses_by_zone_department_and_text(office: Office) -> None:
    office.add_host("pc-1", zone="lgwan", department="総務課", asset_number="R6-1")
    office.add_host("pc-2", zone="internet", department="総務課", asset_number="R6_2")
    office.add_host("sv-1")
    cases = {
        Choice(zone="lgwan"): {"pc-1"},
        Choice(department="総務課"): {"pc-1", "pc-2"},
        Choice(zone="-"): {"sv-1"},
        Choice(department="-", text="SV"): {"sv-1"},
        Choice(text="r6_"): {"pc-2"},
        Choice(text="%"): set(),
        Choice(zone="nowhere"): set(),
    }
    for choice, expected in cases.items():
        with office.database.read() as connection:
            fleet = queries.fleet(connection, choice, office.config, office.rules, START)
        assert {host.name for host in fleet.hosts} == expected, choice
        assert fleet.registered == 3
        assert fleet.departments == ("総務課",)


def test_it_names_the_gravest_first_of_what_as_many_machines_fail(office: Office) -> None:
    office.report(
        office.add_host("bad", zone="lgwan", role="server"), telnet() | {"firewall": facts.Firewall(filtering=False)}
    )
    with office.database.read() as connection:
        fleet = queries.fleet(connection, Choice(), office.config, office.rules, START)
    severities = [office.rules.checks[check].severity for check, _ in fleet.failing_checks]
    assert len(set(severities)) > 1
    assert severities == sorted(severities, key=SEVERITIES.index)


def test_it_folds_away_what_does_not_apply(browser: Browser) -> None:
    browser.office.report(browser.office.add_host("here", zone="lgwan", role="server"), linux())
    page = browser.page("/hosts/here")
    folded = re.search(r'<details class="folded">(.*?)</details>', page, re.DOTALL)
    assert folded
    assert "対象外の項目" in folded[1]
    assert "BitLocker" in folded[1]


def test_it_leaves_retired_machines_out_and_still_shows_them_when_asked(browser: Browser) -> None:
    office = browser.office
    gone = office.add_host("gone")
    office.add_host("here")
    with office.database.write() as connection:
        connection.execute(sa.update(hosts).where(hosts.c.host_id == gone).values(retired_at=START))
    assert names_in(browser.page("/")) == ["here"]
    assert "廃止されました" in browser.page("/hosts/gone")


def test_it_turns_pages_and_keeps_the_choice(browser: Browser) -> None:
    for number in range(53):
        browser.office.add_host(f"pc-{number:03}", zone="lgwan")
    browser.office.add_host("elsewhere", zone="internet")
    first = browser.page("/?zone=lgwan")
    assert len(names_in(first)) == 50
    assert 'href="/?page=2&amp;zone=lgwan"' in first
    second = browser.page("/?page=2&zone=lgwan")
    assert names_in(second) == ["pc-050", "pc-051", "pc-052"]
    assert "51～53 台目（全 53 台）" in second
    assert names_in(browser.page("/?page=99&zone=lgwan")) == names_in(second)


def test_it_refuses_a_page_number_that_is_none(browser: Browser) -> None:
    assert "入力を確認してください" in browser.get("/?page=x").text
    assert browser.get("/?page=0").status_code == 400


def test_it_tells_of_ledger_rows_that_nobody_enrolled(browser: Browser) -> None:
    browser.office.add_host("here", asset_number="R6-1")
    assert "一度も登録されていない" not in browser.page("/")
    with browser.office.database.write() as connection:
        connection.execute(
            sa.insert(assets).values(asset_id=browser.office.collector_id, asset_number="R6-2", recorded_at=START)
        )
    assert "台帳にあって一度も登録されていない機器が 1 台あります" in browser.page("/")


def test_it_shows_problems_with_evidence_reason_and_steps(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1", zone="lgwan", department="総務課", role="server", asset_number="R6-7")
    office.report(host, telnet())
    page = browser.page("/hosts/sv-1")
    check = office.rules.checks["ports.exposed-high-risk"]
    for expected in ("総務課", "R6-7", "LGWAN接続系", "tcp/23", check.title.ja, check.why.ja, "2026-11-02 09:00"):
        assert expected in page
    assert page.index("対応が必要な項目") < page.index("確認できない項目") < page.index("報告された内容")
    browser.get("/?lang=en")
    page = browser.page(f"/hosts/{host}")
    for expected in (check.title.en, check.fix["en"][0].split("`")[0], "Reported facts"):
        assert expected in page


def test_it_tells_evidence_in_words(browser: Browser) -> None:
    host = browser.office.add_host("sv-1")
    browser.office.report(host, {**telnet(), "firewall": facts.Firewall(backend="none", filtering=False)})
    page = browser.page("/hosts/sv-1")
    assert "外からの通信の遮断：いいえ" in page
    assert "firewall.filtering = false" not in page
    assert "系統：未登録" in page
    assert "secmon host set HOST --zone ZONE" in page
    assert "外からの通信の遮断：いいえ" in browser.page("/checks/firewall.filtering")


def test_it_does_not_call_a_machine_well_of_which_little_is_known(browser: Browser) -> None:
    silent = wire.other_section("failed", "no reason", START)
    host = browser.office.add_host("sv-1", zone="lgwan")
    browser.office.report(host, {"os": silent, "host": silent})
    assert "確認できた範囲では指摘なし" in browser.page("/")


def test_it_says_why_something_is_unknown(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1", zone="lgwan", role="server")
    denied = wire.other_section("denied", "cannot read /etc/shadow", START)
    office.report(host, linux(accounts=denied))
    page = browser.page("/hosts/sv-1")
    assert "「アカウント」は、権限が足りず読み取れません。" in page
    assert "cannot read /etc/shadow" in page
    assert "の報告がまだ届いていません" in page


def test_it_draws_the_history_of_an_answer(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1", zone="lgwan", role="server")
    office.report(host, linux(), at=START)
    office.report(host, telnet(), at=START + timedelta(days=9))
    browser.wait(days=9, hours=1)
    page = browser.sign_in().page("/hosts/sv-1")
    article = page[page.index("ports.exposed-high-risk") :]
    article = article[: article.index("</article>")]
    assert re.findall(r'<rect class="(\w+)"', article) == ["none", "pass", "fail"]
    assert "2026-11-02 09:00" in article
    assert "機器の変化" in article
    assert "継続中" in article


def test_it_warns_when_the_facts_are_old(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1", zone="lgwan", role="server")
    office.report(host, telnet())
    browser.wait(days=20)
    judging.sweep(office.database, office.rules, office.config, browser.now)
    browser.sign_in()
    page = browser.page("/hosts/sv-1")
    assert "最後の報告が古いため" in page
    assert "以前の指摘が残っていますが、現在の状態は確認できません。" in page
    assert "確認できた範囲では、対応が必要な項目はありません" in page
    overview = browser.page("/")
    assert "20日前" in overview
    assert "音信不通" in overview


def test_it_warns_while_a_machine_resyncs(browser: Browser) -> None:
    host = browser.office.add_host("sv-1")
    browser.office.report(host, linux())
    with browser.office.database.write() as connection:
        connection.execute(sa.update(hosts).where(hosts.c.host_id == host).values(resyncing=True))
    assert "詳しい情報の到着を待っています" in browser.page("/hosts/sv-1")
    assert "再同期中" in browser.page("/")


def test_it_escapes_whatever_a_machine_says(browser: Browser) -> None:
    office = browser.office
    host = office.add_host(HOSTILE, zone="lgwan", department=HOSTILE, role="server", location=HOSTILE)
    port = facts.ListeningPort(protocol="tcp", address=HOSTILE, port=23, reach="network", process=HOSTILE)
    office.report(
        host,
        linux(
            ports=facts.Ports(listening=(port,)),
            os=facts.Os(family="linux", id="debian", name=HOSTILE, version=HOSTILE),
            accounts=wire.other_section("failed", HOSTILE, START),
        ),
    )
    for path in ("/", f"/hosts/{host}", "/checks/ports.exposed-high-risk", "/checks/accounts.empty-password"):
        page = browser.page(path)
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    assert f'href="/hosts/{host}"' in browser.page("/")
    assert "<script" not in browser.page(f"/?text={HOSTILE}&department={HOSTILE}")


def test_it_shows_facts_with_their_names_and_what_could_not_be_read(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1")
    memory = facts.Host(hostname="server", chassis="server", memory_bytes=16 << 30)
    office.report(host, linux(host=memory, disk_encryption=wire.other_section("denied", "no permission", START)))
    page = browser.page("/hosts/sv-1")
    assert "16.0 GiB" in page
    assert "<td>ネットワーク</td>" in page
    assert "この機器から報告のない項目" in page
    assert "権限が足りず読み取れません" in page


def test_it_shows_a_section_that_it_does_not_know(browser: Browser) -> None:
    host = browser.office.add_host("sv-1")
    later = wire.ok_section(facts.Os(name="Later OS"), START)
    browser.office.report(host, {"telepathy": later})
    page = browser.page("/hosts/sv-1")
    assert "telepathy" in page
    assert "Later OS" in page


def test_it_explains_a_check_and_lists_the_machines_that_fail_it(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("sv-bad", zone="lgwan", role="server"), telnet())
    office.report(office.add_host("sv-good", zone="lgwan", role="server"), linux())
    office.add_host("pc-never")
    page = browser.page("/checks/ports.exposed-high-risk")
    assert office.rules.checks["ports.exposed-high-risk"].why.ja in page
    assert "sv-bad" in page
    assert "sv-good" not in page
    assert page.index("sv-bad") < page.index("確認できない機器") < page.index("pc-never")
    assert "まだ報告がなく、判定できません。" in page
    assert "対応する基準" in page
