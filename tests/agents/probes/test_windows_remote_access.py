"""Windows: who may come in from afar, and by which old ways."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.facts import RemoteAccess, Smb
from secmon_agent.host import Host
from secmon_agent.probes.remote_access_windows import remote_access_windows
from secmon_agent.probes.remote_tools import PROGRAMS, SERVICES, running_tools
from secmon_agent.registry import RecordedRegistry, Written
from secmon_agent.system import RecordedSystem, Recording

SYSTEM = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet"
NT_POLICIES = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows NT"
TERMINAL = rf"{SYSTEM}\Control\Terminal Server"
RDP_TCP = rf"{TERMINAL}\WinStations\RDP-Tcp"
RDP_POLICY = rf"{NT_POLICIES}\Terminal Services"
SERVICE = rf"{SYSTEM}\Services"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")

Keys = dict[str, Mapping[str, Written] | None]
Read = Callable[..., RemoteAccess]


@pytest.fixture
def read(changed_host: Callable[..., Host]) -> Read:
    host = changed_host("windows-11-ja")

    def read_(
        keys: Keys, running: Mapping[str, bool] | UnsetType = UNSET, processes: tuple[str, ...] | UnsetType = UNSET
    ) -> RemoteAccess:
        host.registry = RecordedRegistry(keys)
        states = UNSET if isinstance(running, UnsetType) else dict(running)
        host.system = RecordedSystem(Recording(running_services=states, processes=processes))
        host.new_cycle()
        return remote_access_windows(host)

    return read_


@pytest.mark.parametrize(
    ("own", "policy", "expected"),
    [
        ({}, {}, (UNSET, UNSET)),
        ({"fDenyTSConnections": 1, "UserAuthentication": 1}, {}, (False, True)),
        ({"fDenyTSConnections": 0, "UserAuthentication": 0}, {}, (True, False)),
        ({"fDenyTSConnections": 1, "UserAuthentication": 1}, {"fDenyTSConnections": 0}, (True, True)),
        ({"fDenyTSConnections": 0, "UserAuthentication": 0}, {"UserAuthentication": 1}, (True, True)),
    ],
)
def test_a_policy_goes_before_the_setting_of_remote_desktop(
    own: dict[str, int], policy: dict[str, int], expected: tuple[object, object], read: Read
) -> None:
    nla = {name: value for name, value in own.items() if name == "UserAuthentication"}
    deny = {name: value for name, value in own.items() if name == "fDenyTSConnections"}
    found = read({TERMINAL: deny, RDP_TCP: nla, RDP_POLICY: policy})
    assert (found.rdp_enabled, found.rdp_nla) == expected


def _smb(keys: Keys, read: Read) -> Smb:
    found = read(keys).smb
    assert not isinstance(found, UnsetType)
    return found


@pytest.mark.parametrize(
    ("srv", "parameters", "expected"),
    [
        (None, {}, False),
        (None, {"SMB1": 1}, False),
        ({"Start": 3}, {}, True),
        ({"Start": 3}, {"SMB1": 1}, True),
        ({"Start": 3}, {"SMB1": 0}, False),
        ({"Start": 4}, {}, False),
    ],
)
def test_smb1_is_served_only_where_its_driver_may_start(
    srv: dict[str, Written] | None, parameters: dict[str, Written], expected: bool, read: Read
) -> None:
    keys: Keys = {rf"{SERVICE}\srv2": {"Start": 3}, rf"{SERVICE}\LanmanServer\Parameters": parameters}
    if srv is not None:
        keys[rf"{SERVICE}\srv"] = srv
    assert _smb(keys, read).server_smb1 is expected


@pytest.mark.parametrize(("driver", "expected"), [(None, False), ({"Start": 4}, False), ({"Start": 2}, True)])
def test_smb1_is_used_only_where_its_driver_may_start(
    driver: dict[str, Written] | None, expected: bool, read: Read
) -> None:
    keys: Keys = {rf"{SERVICE}\mrxsmb20": {"Start": 3}}
    if driver is not None:
        keys[rf"{SERVICE}\mrxsmb10"] = driver
    assert _smb(keys, read).client_smb1 is expected


def test_where_windows_own_file_sharing_is_missing_nothing_is_said_of_it(read: Read) -> None:
    found = read({rf"{SERVICE}\LanmanServer": {"Start": 3}})
    assert (found.smb, found.llmnr, found.netbios, found.winrm) == (Smb(), UNSET, UNSET, UNSET)


def test_signing_that_is_left_to_windows_is_not_guessed_at(read: Read) -> None:
    server, client = rf"{SERVICE}\LanmanServer\Parameters", rf"{SERVICE}\LanmanWorkstation\Parameters"
    found = _smb({server: {"RequireSecuritySignature": 0}, client: {"EnableSecuritySignature": 1}}, read)
    assert (found.server_signing, found.client_signing) == (False, UNSET)


@pytest.mark.parametrize(
    ("policy", "expected"), [({}, True), ({"EnableMulticast": 0}, False), ({"EnableMulticast": 1}, True)]
)
def test_llmnr_is_on_until_a_policy_switches_it_off(policy: dict[str, Written], expected: bool, read: Read) -> None:
    assert read({rf"{SERVICE}\Dnscache": {"Start": 2}, rf"{NT_POLICIES}\DNSClient": policy}).llmnr is expected


@pytest.mark.parametrize(
    ("adapters", "expected"),
    [
        ([{"NetbiosOptions": 2}, {"NetbiosOptions": 2}], False),
        ([{"NetbiosOptions": 2}, {"NetbiosOptions": 0}], True),
        ([{"NetbiosOptions": 0, "DhcpNetbiosOptions": 2}], False),
        ([{"NetbiosOptions": 1, "DhcpNetbiosOptions": 2}], True),
    ],
)
def test_netbios_is_off_only_where_no_adapter_speaks_it(
    adapters: list[dict[str, Written]], expected: bool, read: Read
) -> None:
    root = rf"{SERVICE}\NetBT\Parameters\Interfaces"
    assert read({rf"{root}\Tcpip_{{{number}}}": it for number, it in enumerate(adapters)}).netbios is expected


@pytest.mark.parametrize(("states", "expected"), [({"winrm": True}, True), ({"WinRM": False}, False), (UNSET, UNSET)])
def test_winrm_is_on_where_its_service_runs(states: object, expected: object, read: Read) -> None:
    assert read({rf"{SERVICE}\WinRM": {"Start": 3}}, running=states).winrm is expected


def test_an_ssh_server_is_known_by_its_service(read: Read) -> None:
    assert read({}).ssh_installed is False
    found = read({rf"{SERVICE}\sshd": {"Start": 2}}, running={"sshd": True})
    assert not isinstance(found.ssh, UnsetType)
    assert (found.ssh_installed, found.ssh.running, found.ssh.permit_root_login) == (True, True, UNSET)


def test_remote_control_is_known_by_its_programs_and_services(read: Read) -> None:
    services = {"ScreenConnect Client (0f1e2d3c4b5a6978)": True, "uvnc_service": True, "TeamViewer": False}
    found = read({}, running=services, processes=("svchost.exe", "AnyDesk.exe"))
    assert found.remote_tools == ("anydesk", "screenconnect", "ultravnc")


def test_without_the_right_to_see_programs_nothing_is_said_of_remote_control(read: Read) -> None:
    assert read({}, running={"TeamViewer": True}).remote_tools is UNSET


@given(st.sampled_from(sorted(PROGRAMS)), st.data())
def test_every_program_is_known_on_windows_and_on_linux(tool: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(PROGRAMS[tool]))
    assert running_tools([f"{name.upper()}.EXE"]) == running_tools([name[:15]]) == (tool,)


@given(st.sampled_from([(tool, name) for tool, names in SERVICES.items() for name in names]))
def test_every_service_is_known(row: tuple[str, str]) -> None:
    assert row[0] in PROGRAMS
    assert running_tools([], [row[1].upper()]) == (row[0],)


@given(st.lists(st.text(max_size=20)))
def test_other_programs_are_no_remote_control(names: list[str]) -> None:
    known = {name[:15] for names_ in PROGRAMS.values() for name in names_}
    assert running_tools([name for name in names if name.lower().removesuffix(".exe")[:15] not in known]) == ()


@pytest.fixture
def seeded() -> Iterator[None]:
    """Policies in the real registry."""
    if sys.platform != "win32":
        pytest.skip("asks a running Windows")
    import winreg

    made = {RDP_POLICY: ("fDenyTSConnections", 0), rf"{NT_POLICIES}\DNSClient": ("EnableMulticast", 0)}
    access = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
    for path, (name, value) in made.items():
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path.partition("\\")[2], 0, access) as key:
            winreg.SetValueEx(key, name, 0, winreg.REG_DWORD, value)
    yield
    for path, (name, _) in made.items():
        with winreg.OpenKeyEx(winreg.HKEY_LOCAL_MACHINE, path.partition("\\")[2], 0, access) as key:
            winreg.DeleteValue(key, name)


@windows
@pytest.mark.usefixtures("seeded")
def test_a_running_windows_shows_its_policies() -> None:
    found = remote_access_windows(collect.live_host(None))
    assert (found.rdp_enabled, found.llmnr) == (True, False)


@windows
def test_a_windows_that_does_not_say_is_not_guessed_at() -> None:
    found = remote_access_windows(collect.live_host(None))
    assert (found.rdp_enabled, found.rdp_nla, found.smb, found.llmnr, found.remote_tools) == (
        UNSET, UNSET, Smb(), UNSET, (),
    )  # fmt: skip
