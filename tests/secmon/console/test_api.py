"""What programs read."""

from __future__ import annotations

import uuid

from secmon_agent import facts
from tests.secmon.console.browsing import Browser
from tests.secmon.console.test_pages import telnet
from tests.support.office import linux


def test_it_lists_machines_worst_first(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("a-good", zone="lgwan", role="server"), linux())
    bad = office.add_host("b-bad", zone="lgwan", role="server")
    office.report(bad, telnet())
    answer = browser.get("/api/v1/hosts").json()
    assert answer["total"] == 2
    assert answer["hosts"][0]["id"] == str(bad)
    assert answer["hosts"][0]["findings"]["high"] >= 1
    assert answer["hosts"][0]["observed_at"] == "2026-11-02T00:00:00Z"
    part = browser.get("/api/v1/hosts?limit=1&offset=1").json()
    assert part["total"] == 2
    assert [host["name"] for host in part["hosts"]] == ["a-good"]


def test_it_gives_a_machine_with_results_and_facts(browser: Browser) -> None:
    host = browser.office.add_host("sv-1", zone="lgwan", role="server")
    browser.office.report(host, telnet())
    answer = browser.get(f"/api/v1/hosts/{host}").json()
    result = next(each for each in answer["results"] if each["check"] == "ports.exposed-high-risk")
    assert result["status"] == "fail"
    assert [item["key"] for item in result["items"]] == ["tcp/23"]
    assert answer["sections"]["ports"]["facts"]["listening"][0]["process"] == "telnetd"
    assert answer["attributes"] == {"zone": "lgwan", "role": "server"}


def test_it_gives_instants_in_facts_as_text(browser: Browser) -> None:
    host = browser.office.add_host("sv-1")
    browser.office.report(host, linux(patches=facts.Patches(manager="apt", lists_updated_at=browser.now)))
    answer = browser.get(f"/api/v1/hosts/{host}").json()
    assert answer["sections"]["patches"]["facts"]["lists_updated_at"] == "2026-11-02T00:00:00Z"


def test_it_lists_unresolved_findings(browser: Browser) -> None:
    office = browser.office
    host = office.add_host("sv-1", zone="lgwan", role="server")
    ssh = facts.RemoteAccess(ssh_installed=True, ssh=facts.SshServer(permit_root_login="yes", running=True))
    office.report(host, {**telnet(), "remote_access": ssh})
    every = browser.get("/api/v1/findings").json()
    high = browser.get("/api/v1/findings?severity=high&check=ports.exposed-high-risk").json()
    assert every["total"] > high["total"] == 1
    assert high["findings"][0] | {"id": None} == {
        "id": None,
        "host_id": str(host),
        "host": "sv-1",
        "check": "ports.exposed-high-risk",
        "item": "tcp/23",
        "severity": "high",
        "state": "open",
        "evidence": high["findings"][0]["evidence"],
        "opened_at": "2026-11-02T00:00:00Z",
        "due_at": "2026-11-09T00:00:00Z",
        "unconfirmed_since": None,
        "owner": None,
        "acknowledged_at": None,
        "exception": None,
    }
    office.report(host, linux())
    assert browser.get("/api/v1/findings?check=ports.exposed-high-risk").json()["total"] == 0


def test_it_names_what_is_wrong_with_a_request(browser: Browser) -> None:
    for path, status in (
        ("/api/v1/findings?severity=dreadful", 400),
        ("/api/v1/hosts?limit=0", 400),
        ("/api/v1/hosts?limit=many", 400),
        (f"/api/v1/hosts/{uuid.uuid4()}", 404),
        ("/api/v1/hosts/not-an-id", 404),
    ):
        answer = browser.get(path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["detail"]


def test_it_changes_nothing_on_request(browser: Browser) -> None:
    for path in ("/api/v1/hosts", "/api/v1/findings"):
        assert browser.client.post(path).status_code == 405


def test_it_describes_itself(browser: Browser) -> None:
    schema = browser.get("/api/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    assert sorted(schema["paths"]) == ["/api/v1/findings", "/api/v1/hosts", "/api/v1/hosts/{host_id}"]
    for path in schema["paths"].values():
        (operation,) = path.values()
        answers = operation["responses"]
        assert "$ref" in answers["200"]["content"]["application/json"]["schema"]
        assert "application/problem+json" in answers["401"]["content"]
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert "console" not in names
    for name in ("HostList", "HostDetail", "FindingList", "Problem"):
        assert name in schema["components"]["schemas"]


def test_it_serves_no_page_that_would_load_scripts_from_elsewhere(browser: Browser) -> None:
    assert "json" in browser.get("/api").headers["content-type"]
    for path in ("/api/swagger", "/api/redoc", "/schema", "/api/openapi.yaml"):
        assert browser.get(path).status_code == 404
