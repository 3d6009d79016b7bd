"""Links, sessions, and what is open without one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import sqlalchemy as sa

from secmon.console.sign_in import (
    LINK_LIFETIME,
    SESSION_LIFETIME,
    close_session,
    new_link,
    open_session,
    valid_session,
)
from secmon.store.schema import audit, sign_ins
from tests.secmon.console.browsing import BASE, Browser
from tests.support.office import START, Office


def secret_of(link: str) -> str:
    return link.rpartition("/")[2]


def test_it_opens_one_session_for_a_link(office: Office) -> None:
    secret = secret_of(new_link(office.database, START, BASE))
    session = open_session(office.database, secret, START)
    assert session is not None
    assert valid_session(office.database, session, START)
    assert open_session(office.database, secret, START) is None


def test_it_lets_only_one_of_many_in_who_press_at_once(office: Office) -> None:
    secret = secret_of(new_link(office.database, START, BASE))
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: open_session(office.database, secret, START), range(8)))
    assert sum(session is not None for session in sessions) == 1


def test_it_refuses_an_expired_link(office: Office) -> None:
    secret = secret_of(new_link(office.database, START, BASE))
    assert open_session(office.database, secret, START + LINK_LIFETIME) is None
    assert open_session(office.database, secret, START + LINK_LIFETIME - timedelta(seconds=1)) is not None


def test_it_ends_a_session_after_its_time_and_on_signing_out(office: Office) -> None:
    first, second = (
        open_session(office.database, secret_of(new_link(office.database, START, BASE)), START) or "" for _ in range(2)
    )
    assert valid_session(office.database, first, START + SESSION_LIFETIME - timedelta(seconds=1))
    assert not valid_session(office.database, first, START + SESSION_LIFETIME)
    close_session(office.database, second, START)
    assert not valid_session(office.database, second, START)


def test_it_never_takes_a_link_for_a_session_nor_a_session_for_a_link(office: Office) -> None:
    secret = secret_of(new_link(office.database, START, BASE))
    assert not valid_session(office.database, secret, START)
    session = open_session(office.database, secret, START) or ""
    assert open_session(office.database, session, START) is None
    assert not valid_session(office.database, "", START)


def test_it_keeps_no_secret_and_records_the_sign_in(office: Office) -> None:
    secret = secret_of(new_link(office.database, START, BASE))
    session = open_session(office.database, secret, START, "192.0.2.7") or ""
    with office.database.read() as connection:
        stored = repr(connection.execute(sa.select(sign_ins)).all())
        acts = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.subject)).all()
    assert secret not in stored
    assert session not in stored
    assert ("console", "sign-in", "192.0.2.7") in [tuple(act) for act in acts]


def test_it_forgets_what_has_expired(office: Office) -> None:
    new_link(office.database, START, BASE)
    new_link(office.database, START + timedelta(days=1), BASE)
    with office.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sign_ins)).scalar_one() == 1


def test_it_does_not_use_a_link_up_by_looking_at_it(visitor: Browser) -> None:
    link = visitor.link()
    for _ in range(3):
        shown = visitor.get(link)
        assert shown.status_code == 200
        assert "サインインする" in shown.text
        assert "set-cookie" not in shown.headers
    assert visitor.client.post(link).status_code == 303
    assert visitor.get("/").status_code == 200


def test_it_leads_whom_the_link_let_in_to_the_pages_again(visitor: Browser) -> None:
    link = visitor.link()
    visitor.client.post(link)
    again = visitor.get(link)
    assert (again.status_code, again.headers["location"]) == (303, "/")


def test_it_says_that_a_used_link_is_gone(visitor: Browser) -> None:
    link = visitor.link()
    visitor.client.post(link)
    visitor.client.cookies.clear()
    for again in (visitor.client.post(link), visitor.get(link)):
        assert again.status_code == 401
        assert "このリンクは使えません" in again.text
        assert "secmon sign-in" in again.text
        assert "secmon_session" not in again.headers.get("set-cookie", "")


def test_it_guards_the_session_cookie(visitor: Browser, town: Office) -> None:
    cookie = visitor.client.post(visitor.link()).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=43200" in cookie
    assert "secure" not in cookie
    encrypted = Browser(town, "https://127.0.0.1")
    with encrypted.client:
        assert "secure" in encrypted.client.post(encrypted.link()).headers["set-cookie"].lower()


def test_it_signs_out(browser: Browser) -> None:
    session = browser.client.cookies["secmon_session"]
    assert browser.client.post("/sign-out").status_code == 303
    browser.client.cookies.clear()
    answer = browser.get("/", cookie=f"secmon_session={session}")
    assert answer.status_code == 401


def test_it_tells_a_stranger_how_to_get_a_link(visitor: Browser) -> None:
    for path in ("/", "/hosts/somebody", "/checks/some.check", "/nowhere"):
        answer = visitor.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "サインインが必要です" in answer.text
        assert "secmon sign-in" in answer.text


def test_it_tells_a_program_that_it_needs_a_session(visitor: Browser) -> None:
    for path in ("/api/v1/hosts", "/api/v1/findings", "/api/openapi.json", "/api/nowhere"):
        answer = visitor.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 401


def test_it_ends_a_session_of_yesterday(browser: Browser) -> None:
    assert browser.get("/").status_code == 200
    browser.wait(hours=12)
    assert browser.get("/").status_code == 401
