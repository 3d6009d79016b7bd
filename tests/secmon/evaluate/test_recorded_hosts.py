"""Recorded machines that fail: each check below was seen to find something on facts that the agent itself gathered."""

from __future__ import annotations

from pathlib import Path

import pytest

from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, Verdict
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.sections import read_sections
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host

HOSTS = Path(__file__).parents[2] / "hosts"
FAILING = {
    "debian-11-weak": """
        access.ssh-empty-passwords access.ssh-password-authentication access.ssh-root-login access.ssh-tries
        access.ssh-x11 accounts.empty-password accounts.extra-root accounts.sudo-without-password firewall.filtering
        hardening.address-randomization hardening.core-dumps hardening.kernel-addresses hardening.kernel-messages
        hardening.privileged-dumps hardening.process-inspection hardening.protected-files hardening.protected-links
        hardening.unprivileged-bpf logging.audit logging.persistent network.broadcast-ping network.forwarding
        network.source-routing network.syn-cookies password.hash-algorithm password.lockout
        password.min-length patch.automatic patch.lists-stale patch.security-archive ports.exposed-consoles
        ports.exposed-containers ports.exposed-discovery ports.exposed-high-risk ports.exposed-mail ports.exposed-nfs
        ports.exposed-printing ports.exposed-snmp support.os
        """,
    "ubuntu-2204-server": "logging.audit-rules logging.retention patch.held-packages",
    "windows-10-apps-ja": """
        software.attack-tools software.file-sharing software.games-and-chat software.generative-ai
        software.remote-control software.rpa software.vpn support.dotnet support.java support.libreoffice support.nodejs
        support.office support.os support.postgresql support.python support.sql-server
        """,
    "windows-11-ja": "patch.windows-updates software.browser-of-one-person support.browsers",
    "windows-server-2019-ja": "boot.secure-boot",
}


@pytest.mark.parametrize(
    ("host", "check"),
    [pytest.param(host, check, id=f"{host} {check}") for host, checks in FAILING.items() for check in checks.split()],
)
def test_a_recorded_machine_fails(host: str, check: str, rules: RuleSet) -> None:
    assert verdicts(host, rules)[check].status == "fail"


def test_what_the_firewall_lets_nobody_reach_is_no_finding(rules: RuleSet) -> None:
    """VNC and SNMP of that server wait for the network behind a closed firewall; its database is open to some."""
    found = verdicts("windows-server-2019-ja", rules)
    assert [found[f"ports.exposed-{name}"].status for name in ("high-risk", "snmp")] == ["pass", "pass"]
    assert found["ports.exposed-snmp"].evidence == "firewall = blocked, port = 161, protocol = udp"
    assert [item.key for item in found["ports.exposed-database"].items] == ["tcp/1433"]


def test_there_is_one_for_forty_checks_and_more() -> None:
    assert len({check for checks in FAILING.values() for check in checks.split()}) >= 40


def verdicts(host: str, rules: RuleSet) -> dict[str, Verdict]:
    if (host, rules.version) not in _JUDGED:
        recorded = recorded_host(HOSTS / host)
        sections = collect(recorded)
        machine = Machine(
            sections=read_sections({name: (it.status, it.reason, it.data or None) for name, it in sections.items()}),
            observed_at=recorded.now(),
        )
        _JUDGED[host, rules.version] = {it.check: it for it in evaluate(rules, machine, recorded.now())}
    return _JUDGED[host, rules.version]


_JUDGED: dict[tuple[str, str], dict[str, Verdict]] = {}
