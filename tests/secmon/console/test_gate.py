"""Who may ask, under which name, and what every answer bears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.store.schema import hosts
from tests.secmon.console.browsing import Browser, with_token
from tests.support.office import Office

MACHINES = ("/metrics", "/healthz")
TOKEN = "a-long-token-of-the-office"


@pytest.fixture
def distant(town: Office) -> Browser:
    """Asks from another machine, of a console that has a token for metrics."""
    town.config = with_token(town.config, TOKEN)
    browser = Browser(town)
    browser.address = "192.0.2.9"
    return browser


def test_it_answers_prometheus_on_this_machine_without_anything(visitor: Browser) -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        visitor.address = address
        assert [visitor.get(path).status_code for path in MACHINES] == [200, 200]


def test_it_asks_other_machines_for_the_token(distant: Browser) -> None:
    with distant.client:
        for path in MACHINES:
            refuses_without_token(distant, path)
            assert distant.get(path, authorization=f"Bearer {TOKEN}").status_code == 200


def refuses_without_token(distant: Browser, path: str) -> None:
    for credentials in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        answer = distant.get(path, **credentials)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_it_lets_no_empty_token_in(visitor: Browser) -> None:
    visitor.address = "192.0.2.9"
    assert visitor.get("/metrics", authorization="Bearer ").status_code == 401


def test_it_does_not_take_what_a_proxy_passes_on_for_this_machine(visitor: Browser) -> None:
    for header in ("x_forwarded_for", "forwarded", "x_real_ip"):
        assert visitor.get("/metrics", **{header: "192.0.2.9"}).status_code == 401


def test_it_hands_the_wish_for_a_format_to_the_exposition(visitor: Browser) -> None:
    answer = visitor.get("/metrics", accept="application/openmetrics-text")
    assert answer.text.startswith("# asked for application/openmetrics-text")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_it_tells_of_broken_rules(browser: Browser) -> None:
    browser.trouble = "rules/checks/patch/x.yaml:3: unknown <field>"
    assert browser.get("/healthz").json()["rules"] == browser.trouble
    page = browser.page("/")
    assert "判定基準のファイルに誤りがあります" in page
    assert "unknown &lt;field&gt;" in page


def test_it_tells_how_many_machines_are_still_judged_by_the_rules_before(browser: Browser) -> None:
    browser.office.add_host("pc1")
    assert browser.get("/healthz").json()["waiting"] == 0
    assert "判定し直しています" not in browser.page("/")

    with browser.office.database.write() as connection:
        connection.execute(sa.update(hosts).values(judged_ruleset="before", state=bytes(32)))

    assert browser.get("/healthz").json()["waiting"] > 0
    assert "判定し直しています" in browser.page("/")
    assert "判定し直しています" not in browser.get("/sign-in/x").text


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/hosts", "/sign-in/x"])
def test_it_is_not_called_by_foreign_names(browser: Browser, path: str) -> None:
    for host in ("evil.example", "localhost.evil.example:8080", "", "a b", "127.0.0.1.evil.example"):
        answer = browser.get(path, host=host)
        assert answer.status_code == 421
        if path.startswith(("/api", "/metrics")):
            assert answer.json()["status"] == 421
        else:
            assert "この名前では開けません" in answer.text


def test_it_is_called_by_address_or_by_its_own_name(browser: Browser) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "10.1.0.5:8080"):
        assert browser.get("/", host=host).status_code == 200


def test_it_sends_the_security_headers_with_everything(browser: Browser) -> None:
    for path in ("/", "/nowhere", "/metrics", "/api/v1/hosts", "/sign-in/x", "/static/mark.svg"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("public, max-age=86400" if path.startswith("/static/") else "no-store")


def test_it_switches_to_english_and_stays_there(browser: Browser) -> None:
    assert '<html lang="ja">' in browser.page("/")
    switched = browser.get("/?text=a%26b&lang=en")
    assert switched.status_code == 303
    assert switched.headers["location"] == "/?text=a%26b"
    assert '<html lang="en">' in browser.page("/")
    browser.get("/?lang=ja")
    assert '<html lang="ja">' in browser.page("/")


def test_it_never_leads_elsewhere_by_switching(browser: Browser) -> None:
    answer = browser.get("/%2Fevil.example/?lang=en")
    assert answer.headers["location"].startswith("/evil.example")


def test_it_gives_a_missing_page_to_people_and_a_problem_to_programs(browser: Browser) -> None:
    for path in ("/nowhere", "/hosts/nobody", "/checks/no.such-check"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "ページが見つかりません" in answer.text
    answer = browser.get("/api/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "about:blank"


def test_it_says_that_the_database_is_gone(browser: Browser, tmp_path: Path) -> None:
    browser.office.database.close()
    (tmp_path / "secmon.db").unlink()
    (tmp_path / "secmon.db").mkdir()
    page, program = browser.get("/"), browser.get("/api/v1/hosts")
    assert (page.status_code, program.status_code) == (503, 503)
    assert "ただいま利用できません" in page.text
    assert program.headers["content-type"] == "application/problem+json"


def test_it_has_no_inline_style_or_script_or_foreign_address(browser: Browser) -> None:
    host = browser.office.add_host("pc-1")
    for path in ("/", f"/hosts/{host}", "/checks/patch.automatic", "/nowhere"):
        page = browser.get(path).text
        assert not re.search(r"<script|\sstyle=|\son[a-z]+=|(?:src|href|action)=\"(?:https?:)?//", page)
