"""Who may come in from afar on Windows, and by which old ways."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import RemoteAccess, Smb, SshServer
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.probes.remote_tools import running_tools
from secmon_agent.probes.services_state import SERVICES, installed, running_services, runs
from secmon_agent.registry import HKLM, number

_TERMINAL: Final = HKLM + r"\SYSTEM\CurrentControlSet\Control\Terminal Server"
_TERMINAL_POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services"
_DNS_POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient"
_NETBIOS: Final = rf"{SERVICES}\NetBT\Parameters\Interfaces"
_SSH_SERVERS: Final = ("sshd", "cygsshd", "BvSshServer")
"""OpenSSH, Cygwin's and Bitvise's."""
_DISABLED: Final = 4
_NETBIOS_OFF: Final = 2


def remote_access_windows(host: Host) -> RemoteAccess:
    """Sources: registry, `Control\\Terminal Server`, `Services`, policies; service manager; running programs.

    Rights: none; whether services run is left out without the right to ask the service manager.
    """
    deny = _overridden(host, _TERMINAL_POLICY, _TERMINAL, "fDenyTSConnections")
    nla = _overridden(host, _TERMINAL_POLICY, rf"{_TERMINAL}\WinStations\RDP-Tcp", "UserAuthentication")
    ssh = [name for name in _SSH_SERVERS if installed(host, name)]
    return RemoteAccess(
        ssh_installed=bool(ssh),
        ssh=SshServer(running=runs(host, ssh[0])) if ssh else UNSET,
        rdp_enabled=UNSET if deny is None else deny == 0,
        rdp_nla=UNSET if nla is None else nla != 0,
        smb=Smb(
            server_smb1=_server_smb1(host),
            client_smb1=_client_smb1(host),
            server_signing=_signing(host, "LanmanServer"),
            client_signing=_signing(host, "LanmanWorkstation"),
        ),
        llmnr=_llmnr(host),
        netbios=_netbios(host),
        winrm=runs(host, "WinRM"),
        remote_tools=_tools(host),
    )


def _overridden(host: Host, policy: str, own: str, name: str) -> int | None:
    """The policy's value, or the machine's own; None where neither says."""
    found = number(values_if_any(host, policy), name)
    return number(values_if_any(host, own), name) if found is None else found


def _server_smb1(host: Host) -> bool | UnsetType:
    """The driver `srv` is there while the component is installed; a setting that is missing means on. Undetermined
    where Windows' newer file server is not there either: then this is no Windows that is known here."""
    if not installed(host, "srv2"):
        return UNSET
    if _start(host, "srv") in (None, _DISABLED):
        return False
    return number(values_if_any(host, rf"{SERVICES}\LanmanServer\Parameters"), "SMB1") != 0


def _client_smb1(host: Host) -> bool | UnsetType:
    return _start(host, "mrxsmb10") not in (None, _DISABLED) if installed(host, "mrxsmb20") else UNSET


def _start(host: Host, service: str) -> int | None:
    return number(values_if_any(host, f"{SERVICES}\\{service}"), "Start")


def _signing(host: Host, service: str) -> bool | UnsetType:
    found = number(values_if_any(host, rf"{SERVICES}\{service}\Parameters"), "RequireSecuritySignature")
    return UNSET if found is None else found != 0


def _llmnr(host: Host) -> bool | UnsetType:
    """On unless the policy switches it off."""
    found = number(values_if_any(host, _DNS_POLICY), "EnableMulticast")
    return found != 0 if found is not None or installed(host, "Dnscache") else UNSET


def _netbios(host: Host) -> bool | UnsetType:
    """Undetermined without adapters. An adapter's own choice goes before the DHCP server's; without either it is on."""
    adapters = [values_if_any(host, f"{_NETBIOS}\\{name}") for name in subkeys_if_any(host, _NETBIOS)]
    choices = [number(it, "NetbiosOptions") or number(it, "DhcpNetbiosOptions") or 0 for it in adapters]
    return any(choice != _NETBIOS_OFF for choice in choices) if choices else UNSET


def _tools(host: Host) -> tuple[str, ...] | UnsetType:
    try:
        programs = host.system.processes()
    except PermissionError:
        return UNSET
    services = running_services(host) or {}
    return running_tools(programs, (name for name, state in services.items() if state))
