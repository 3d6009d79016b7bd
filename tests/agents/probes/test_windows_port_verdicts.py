"""Windows: what the firewall does with those who knock at a port, and where it must not be told."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.host import Host, Programs
from secmon_agent.probes.firewall_match import WindowsDoor
from secmon_agent.probes.firewall_rule import WindowsRule, parse
from secmon_agent.probes.firewall_verdict import ProfileRules, verdict
from secmon_agent.probes.ports_windows import ports_windows
from secmon_agent.questions.firewall import FirewallAnswer, Profile, Registered
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import HKLM, RecordedRegistry, Written
from secmon_agent.system import RecordedSystem, Recording, Socket
from tests.agents.probes.conftest import HOSTS
from tests.agents.probes.windows_made import answering

SERVICES: Final = HKLM + r"\SYSTEM\CurrentControlSet\Services"
LOCAL: Final = SERVICES + r"\SharedAccess\Parameters\FirewallPolicy"
POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\WindowsFirewall"
Registry = dict[str, dict[str, Written]]

PROGRAM: Final = Socket(
    protocol="tcp", address="0.0.0.0", port=5900, process="vnc.exe", pid=7, path=r"C:\Tools\vnc.exe", contained=False
)
SERVICE: Final = Socket(
    protocol="tcp",
    address="0.0.0.0",
    port=3389,
    process="svchost.exe",
    pid=9,
    path=r"C:\Windows\System32\svchost.exe",
    contained=False,
)
SYSTEM: Final = Socket(protocol="tcp", address="0.0.0.0", port=445, process="System", pid=4)
MACHINE: Final[Registry] = {
    HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion": {
        "SystemRoot": r"C:\WINDOWS",
        "InstallationType": "Client",
    },
    HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion": {"ProgramFilesDir": r"C:\Program Files"},
    SERVICES + r"\MpsSvc": {"Start": 2},
    SERVICES + r"\TermService": {"ServiceSidType": 1},
    SERVICES + r"\Old": {"ServiceSidType": 0},
}
ON: Final = tuple(Profile(name=name, enabled=1, inbound=4) for name in ("Domain", "Private", "Public"))
STORE_APP: Final = "Action=Allow|Active=TRUE|Dir=In|LUOwn=S-1-5-21-1|AppPkgId=S-1-15-2-1|Platform=2:6:2|Platform2=GTEQ|"


def machine(
    *rules: str,
    policy: Iterable[str] = (),
    extra: Registry | None = None,
    answer: FirewallAnswer | None = None,
    running: bool = True,
) -> Host:
    """A PC with these rules of its own and of Group Policy."""
    keys: Registry = {LOCAL + r"\FirewallRules": {str(n): f"v2.31|{rule}" for n, rule in enumerate(rules)}}
    keys[POLICY + r"\FirewallRules"] = {str(n): f"v2.31|{rule}" for n, rule in enumerate(policy)}
    host = recorded_host(HOSTS / "windows-11-ja")
    host.registry = RecordedRegistry(MACHINE | keys | (extra or {}))
    host = answering(host, FirewallAnswer(profiles=ON, products=()) if answer is None else answer)
    host.system = RecordedSystem(
        Recording(running_services={"MpsSvc": running}, service_processes={"TermService": 9, "Old": 11, "RpcSs": 12})
    )
    return host


def told(host: Host, *sockets: Socket) -> list[object]:
    recorded = Recording(
        sockets=sockets,
        running_services=host.system.running_services(),
        service_processes=host.system.service_processes(),
    )
    host.system = RecordedSystem(recorded)
    found = ports_windows(host).listening
    return [it.firewall if it.firewall is not UNSET else None for it in found or ()]


def allow(what: str) -> str:
    return f"Action=Allow|Active=TRUE|Dir=In|{what}|Name=@x.dll,-1|"


def block(what: str) -> str:
    return f"Action=Block|Active=TRUE|Dir=In|{what}|"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], "blocked"),
        ([allow("Protocol=6|LPort=5900")], "allowed"),
        ([allow("Protocol=6|LPort=80|LPort=5900")], "allowed"),
        ([allow("Protocol=6|LPort2_10=5000-6000")], "allowed"),
        ([allow("Protocol=6|LPort=5901")], "blocked"),
        ([allow("Protocol=17|LPort=5900")], "blocked"),
        ([allow("Protocol=6")], "allowed"),
        ([allow("Protocol=1|ICMP4=8:*")], "blocked"),
        ([allow(r"Protocol=6|App=C:\tools\VNC.EXE")], "allowed"),
        ([allow(r"Protocol=6|App=C:\Other\other.exe")], "blocked"),
        ([allow(r"Protocol=6|App=C:\Other\vnc.exe")], None),
        ([allow(r"Protocol=6|App=%LOCALAPPDATA%\vnc.exe")], None),
        ([allow(r"Protocol=6|App=C:\PROGRA~1\x.exe")], None),
        ([allow("Protocol=6|App=System")], "blocked"),
        ([allow("Protocol=6|Svc=TermService")], "blocked"),
        ([allow("Protocol=6|Svc=*")], "blocked"),
        ([STORE_APP], "blocked"),
        ([allow("Protocol=6|LPort=5900").replace("Active=TRUE", "Active=FALSE")], "blocked"),
        ([allow("Protocol=6|LPort=5900").replace("Dir=In", "Dir=Out")], "blocked"),
        ([allow("Protocol=6|LPort=5900").replace("Active=TRUE|", "")], None),
        ([allow("Protocol=6|LPort=5900|RA4=10.1.0.0/255.255.0.0|RA6=fd00::/64")], "restricted"),
        ([allow("Protocol=6|LPort=5900|RA4=10.1.0.5-10.1.0.9")], "restricted"),
        ([allow("Protocol=6|LPort=5900|RA4=LocalSubnet|RA6=LocalSubnet")], "restricted"),
        ([allow("Protocol=6|LPort=5900|RA42=IntErnet")], None),
        ([allow("Protocol=6|LPort=5900|RA6=fd00::/64")], "blocked"),
        ([allow("Protocol=6|LPort=5900|RA4=0.0.0.0-255.255.255.255")], "allowed"),
        ([allow("Protocol=6|LPort=5900|Profile=Public")], "restricted"),
        ([allow("Protocol=6|LPort=5900|Profile=Domain|Profile=Private|Profile=Public")], "allowed"),
        ([allow("Protocol=6|LPort=5900|Profile=Lunar")], None),
        ([allow("Protocol=6|LPort=RPC")], None),
        ([allow("Protocol=6|LPort=RPC-EPMap")], "blocked"),
        ([allow("Protocol=6|LPort2_10=IPHTTPSIn")], None),
        ([allow("Protocol=6|LPort=5900|IFType=Wireless")], None),
        ([allow("Protocol=6|LPort=5900|LA4=10.1.0.5")], None),
        ([allow("Protocol=6|LPort=5900|RPort=67")], None),
        ([allow("Protocol=6|LPort=5900|RMauth=O:LSD:(A;;CC;;;S-1-5-21-1)|Security=Authenticate")], None),
        ([allow("Protocol=6|LPort=5900|New=1")], None),
        ([allow("Protocol=6|LPort=5901|New=1")], "blocked"),
        ([block("Protocol=6|LPort=5900"), allow("Protocol=6|LPort=5900")], "blocked"),
        ([block(r"App=C:\Tools\vnc.exe"), allow(r"App=C:\Tools\vnc.exe")], "blocked"),
        ([block("Protocol=6|LPort=5900|RA4=192.0.2.0/24"), allow("Protocol=6|LPort=5900")], "allowed"),
        ([block("Protocol=6|LPort=5900|New=1"), allow("Protocol=6|LPort=5900")], None),
        ([block("Protocol=6|LPort=5900|New=1")], "blocked"),
        ([block("Protocol=6|LPort=5900|Profile=Public"), allow("Protocol=6|LPort=5900")], "restricted"),
        ([block("Protocol=6|LPort=5900"), "Action=ByPass|Active=TRUE|Dir=In|Protocol=6|LPort=5900|"], None),
        (["nonsense"], None),
    ],
)
def test_rules_decide_about_a_program(rules: list[str], expected: object) -> None:
    assert told(machine(*rules), PROGRAM) == [expected]
    assert told(machine(policy=rules), PROGRAM) == [expected]


SVCHOST: Final = r"App=%SystemRoot%\system32\svchost.exe"


@pytest.mark.parametrize(
    ("rules", "waiting", "expected"),
    [
        ([allow(f"Protocol=6|LPort=3389|{SVCHOST}|Svc=termservice")], SERVICE, "allowed"),
        ([allow(f"Protocol=6|LPort=3389|{SVCHOST}|Svc=Other")], SERVICE, "blocked"),
        ([allow(f"Protocol=6|LPort=3389|{SVCHOST}|Svc=*")], SERVICE, "allowed"),
        ([allow("Protocol=6|Svc=Old")], msgspec.structs.replace(SERVICE, pid=11), None),
        ([allow("Protocol=6|Svc=Old")], msgspec.structs.replace(SERVICE, pid=99), None),
        ([allow("Protocol=6|LPort=445|App=System|Profile=Domain|Profile=Private")], SYSTEM, "restricted"),
        ([allow("Protocol=6|LPort2_10=IPHTTPSIn|App=System"), STORE_APP], SYSTEM, "blocked"),
        ([allow("Protocol=6|LPort2_10=IPHTTPSIn|App=System")], msgspec.structs.replace(SYSTEM, port=443), None),
        ([STORE_APP], msgspec.structs.replace(PROGRAM, contained=True), None),
        ([], msgspec.structs.replace(PROGRAM, contained=UNSET), None),
        ([], msgspec.structs.replace(PROGRAM, address="127.0.0.1"), None),
        ([allow("Protocol=6|LPort=5900|RA4=10.1.0.0/16")], msgspec.structs.replace(PROGRAM, address="::"), None),
        ([allow("Protocol=6|LPort=5900")], msgspec.structs.replace(PROGRAM, address="::"), "allowed"),
        (
            [allow("Protocol=6|LPort=5900|RA4=10.1.0.0/16")],
            msgspec.structs.replace(PROGRAM, address="fe80::1"),
            "blocked",
        ),
    ],
)
def test_it_matters_whose_port_it_is(rules: list[str], waiting: Socket, expected: object) -> None:
    assert told(machine(*rules), waiting) == [expected]


OPEN: Final = allow("Protocol=6|LPort=5900")
TREND: Final = Registered(name="ウイルスバスター", guid="{1}", state=0x41010)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (machine(running=False), None),
        (machine(answer=FirewallAnswer(profiles=ON, products=(TREND,))), None),
        (machine(answer=FirewallAnswer(profiles=ON)), None),
        (machine(answer=FirewallAnswer(products=())), None),
        (machine(extra={LOCAL + r"\DomainProfile": {"DoNotAllowExceptions": 1}}), "blocked"),
        (machine(OPEN, extra={LOCAL + r"\DomainProfile": {"DoNotAllowExceptions": 1}}), "restricted"),
        (
            machine(extra={LOCAL + r"\DomainProfile": {"DoNotAllowExceptions": 1},
                           POLICY + r"\DomainProfile": {"DoNotAllowExceptions": 0}}),
            None,
        ),
        (machine(OPEN, extra={POLICY + r"\DomainProfile": {"AllowLocalPolicyMerge": 0}}), "restricted"),
        (
            machine(OPEN, extra={rf"{POLICY}\{it}Profile": {"AllowLocalPolicyMerge": 0}
                                 for it in ("Domain", "Private", "Public")}),
            "blocked",
        ),
        (machine(answer=FirewallAnswer(profiles=(Profile(name="Domain", enabled=0, inbound=4), *ON[1:]), products=())),
         "restricted"),
        (machine(answer=FirewallAnswer(profiles=(Profile(name="Domain", enabled=1, inbound=2), *ON[1:]), products=())),
         "restricted"),
        (machine(extra={POLICY + r"\StandardProfile\GloballyOpenPorts\List": {"x": "5900:TCP:*:enabled:x"}}), None),
        (machine(extra={LOCAL + r"\StandardProfile\AuthorizedApplications\List": {"x": "x"}}), None),
        (machine(extra={LOCAL + r"\Mdm\FirewallRules": {"x": OPEN}}), None),
        (machine(OPEN, extra={POLICY + r"\ConSecRules": {"x": "v2.31|Action=SecureServer|"}}), None),
        (machine(extra={POLICY + r"\ConSecRules": {"x": "v2.31|Action=SecureServer|"}}), "blocked"),
    ],
)  # fmt: skip
def test_whatever_may_decide_otherwise_makes_an_end_of_it(host: Host, expected: object) -> None:
    assert told(host, PROGRAM) == [expected]


def test_without_the_machines_own_rules_nothing_is_known() -> None:
    host = machine()
    host.registry = RecordedRegistry(MACHINE)
    assert told(host, PROGRAM) == [None]


def test_a_service_that_windows_itself_restrains_may_be_closed() -> None:
    restrained: Registry = {
        LOCAL + r"\RestrictedServices\Static\System": {"x": "v2.0|Action=Block|Dir=In|Svc=TermService|"}
    }
    rule = allow("Protocol=6|LPort=3389")
    assert told(machine(rule, extra=restrained), SERVICE) == [None]
    assert told(machine(extra=restrained), SERVICE) == ["blocked"]


def test_a_server_need_not_know_of_other_firewalls() -> None:
    server: Registry = {HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion": {"InstallationType": "Server Core"}}
    assert told(machine(answer=FirewallAnswer(profiles=ON), extra=server), PROGRAM) == ["blocked"]


def test_ports_are_told_though_a_service_hides_its_settings() -> None:
    host = machine()
    rules: Registry = {LOCAL + r"\FirewallRules": {"1": "v2.31|" + allow("Protocol=6|LPort=3389|Svc=TermService")}}
    host.registry = RecordedRegistry({**MACHINE, **rules, SERVICES + r"\TermService": None})
    assert told(host, SERVICE) == [None]


def test_ports_are_told_though_the_rules_cannot_be_read() -> None:
    host = machine()
    host.registry = RecordedRegistry({LOCAL + r"\FirewallRules": None})
    host.programs = Programs(host.run, lambda *_, **__: b"")
    assert told(host, PROGRAM) == [None]


PARTS: Final = ["Protocol=6", "LPort=5900", "LPort=1-6000", "RA4=10.0.0.0/8", "RA4=0.0.0.0/1", "RA4=LocalSubnet",
                r"App=C:\Tools\vnc.exe", "Svc=X", "LPort=7", "Name=x"]  # fmt: skip
RULES: Final = st.builds(
    lambda action, parts: f"v2.31|Action={action}|Active=TRUE|Dir=In|{'|'.join(parts)}|",
    st.sampled_from(["Allow", "Block"]),
    st.lists(st.sampled_from(PARTS), max_size=3, unique=True),
)


@given(rules=st.lists(RULES, min_size=1, max_size=5), inbound=st.sampled_from(["allow", "block"]))
def test_a_rule_that_is_not_understood_changes_no_verdict(rules: list[str], inbound: str) -> None:
    door = WindowsDoor(socket=PROGRAM, services=(), own_sid=frozenset(), variables={})

    def of(texts: list[str]) -> object:
        parsed: list[WindowsRule] = [rule for rule in map(parse, texts) if rule]
        profile = ProfileRules(
            name="public",
            enabled=True,
            inbound="allow" if inbound == "allow" else "block",
            shielded=False,
            rules=tuple(parsed),
        )
        return verdict(profile, door, 4)

    said = of([rules[0] + "Unheard=1|", *rules[1:]])
    assert said is None or said == of(rules) == of(rules[1:])


@pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")
def test_sockets_of_a_running_windows_tell_their_program_and_container() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        own = [it for it in collect.live_host(None).system.sockets() if it.port == port]
    assert [it.contained for it in own] == [False]
    assert all(not isinstance(it.path, UnsetType) and it.path.lower().endswith(".exe") for it in own)
