"""How a machine is connected, and who may come in."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts.base import Fact, Reach


class ListeningPort(Fact, frozen=True, kw_only=True):
    """A socket that waits for others: TCP in LISTEN, or UDP bound outside the ephemeral range."""

    protocol: Literal["tcp", "udp"]
    """Over IPv4 or IPv6; the address tells which."""
    address: str
    """Bound address; `0.0.0.0` and `::` mean every interface."""
    port: int
    """Port number."""
    reach: Reach
    """`loopback`: only from this machine; `network`: bound to an address beyond it (a firewall may still block)."""
    process: str | UnsetType = UNSET
    """Name of the program; undetermined without the right to see other users' processes."""
    services: tuple[str, ...] | UnsetType = UNSET
    """Windows: services that this very process hosts; one of them listens. Linux: the systemd unit that the process
    belongs to; a unit for one connection is told by its template (`sshd@.service`)."""
    last_port: int | UnsetType = UNSET
    """Windows: the port is one of the dynamic range from `port` to this; RPC services take another at each start."""
    firewall: Literal["allowed", "restricted", "blocked"] | UnsetType = UNSET
    """What this machine's own packet filter does with other machines that knock here unasked: `blocked`: nobody comes
    in; `restricted`: only from some addresses, through some interfaces or in some kinds of network; `allowed`: from
    most addresses. Left out for `loopback`, and where some rule that may matter cannot be decided."""


class Ports(Fact, frozen=True, kw_only=True):
    """Section `ports`."""

    listening: tuple[ListeningPort, ...] | UnsetType = UNSET
    """Sockets that wait for others."""


class FirewallProfile(Fact, frozen=True, kw_only=True):
    """Windows: the settings for one kind of network, as policy and the machine's own settings together make them."""

    name: Literal["domain", "private", "public"]
    """Kind of network."""
    enabled: bool | UnsetType = UNSET
    """The firewall is on in such networks."""
    inbound: Literal["block", "allow"] | UnsetType = UNSET
    """What becomes of unsolicited traffic that no rule mentions."""
    source: Literal["effective", "policy", "local"] | UnsetType = UNSET
    """Who says whether it is enabled: the running firewall; or, where that cannot be asked, a policy or the machine's
    own setting in the registry."""


class FirewallProduct(Fact, frozen=True, kw_only=True):
    """Windows: another maker's firewall that is registered with the Security Center."""

    name: str
    """As it calls itself, NFKC-normalised."""
    enabled: bool | UnsetType = UNSET
    """What it told the Security Center."""


class Firewall(Fact, frozen=True, kw_only=True):
    """Section `firewall`: the packet filter of this machine."""

    backend: Literal["nftables", "iptables", "windows", "none"] | UnsetType = UNSET
    """What filters packets; `none`: determined that there is no packet filter."""
    manager: Literal["ufw", "firewalld", "nftables", "iptables", "windows"] | UnsetType = UNSET
    """What keeps the rules across a restart."""
    filtering: bool | UnsetType = UNSET
    """Unsolicited traffic from the network is dropped or rejected unless a rule allows it. Windows: the service runs,
    and it holds in every profile, since the machine changes between them by itself; undetermined where Windows' own
    firewall does not do it and another maker's is registered."""
    persistent: bool | UnsetType = UNSET
    """The rules come back after a restart; Windows: the service starts by itself."""
    profiles: tuple[FirewallProfile, ...] | UnsetType = UNSET
    """Windows only."""
    products: tuple[FirewallProduct, ...] | UnsetType = UNSET
    """Windows clients only: firewalls of other makers; left out where there is no Security Center."""


class Interface(Fact, frozen=True, kw_only=True):
    """A network interface."""

    name: str
    """As the system calls it."""
    kind: (
        Literal["ethernet", "wifi", "wwan", "bluetooth", "loopback", "tunnel", "bridge", "virtual", "other"] | UnsetType
    ) = UNSET
    """What it is made of, where that can be told."""
    mac: str | UnsetType = UNSET
    """Lower case, colons; left out for interfaces without one."""
    up: bool | UnsetType = UNSET
    """Connected and switched on."""
    addresses: tuple[str, ...] | UnsetType = UNSET
    """CIDR, e.g. "192.168.10.5/24"; link-local and temporary IPv6 addresses are left out."""
    gateways: tuple[str, ...] | UnsetType = UNSET
    """Next hops of the default routes through this interface."""


class Proxy(Fact, frozen=True, kw_only=True):
    """Where programs are told to go first for the web."""

    source: Literal["winhttp", "machine", "user", "environment", "apt", "dnf"]
    """Who is told: Windows' services; everybody by policy; a person who was logged on; every session; the package
    manager."""
    addresses: tuple[str, ...] | UnsetType = UNSET
    """`host:port`; user names, passwords and paths are cut off."""
    auto_config: bool | UnsetType = UNSET
    """A script from some address decides."""
    auto_detect: bool | UnsetType = UNSET
    """The network is asked for such a script (WPAD)."""


class Interfaces(Fact, frozen=True, kw_only=True):
    """Section `interfaces`: how the machine is connected."""

    interfaces: tuple[Interface, ...] | UnsetType = UNSET
    """Network interfaces, connected or not."""
    dns_servers: tuple[str, ...] | UnsetType = UNSET
    """Addresses that are asked for names."""
    default_route: bool | UnsetType = UNSET
    """There is a way to everywhere."""
    forwarding: bool | UnsetType = UNSET
    """The machine passes IPv4 or IPv6 packets on between its interfaces."""
    sharing: bool | UnsetType = UNSET
    """Windows: the service that lends this machine's connection to others runs (SharedAccess: Internet Connection
    Sharing, mobile hotspot, also the NAT of Hyper-V's default switch)."""
    proxies: tuple[Proxy, ...] | UnsetType = UNSET
    """Only what is configured; empty where nothing is."""


class SshServer(Fact, frozen=True, kw_only=True):
    """Effective settings of sshd, as `sshd -T` would print them."""

    ports: tuple[int, ...] | UnsetType = UNSET
    """Port numbers that it is told to listen on."""
    running: bool | UnsetType = UNSET
    """It accepts logins: it runs, or is started for the first one who calls."""
    permit_root_login: Literal["yes", "no", "prohibit-password", "forced-commands-only"] | UnsetType = UNSET
    """PermitRootLogin."""
    password_authentication: bool | UnsetType = UNSET
    """PasswordAuthentication."""
    permit_empty_passwords: bool | UnsetType = UNSET
    """PermitEmptyPasswords."""
    x11_forwarding: bool | UnsetType = UNSET
    """X11Forwarding."""
    max_auth_tries: int | UnsetType = UNSET
    """MaxAuthTries: tries per connection."""


class Smb(Fact, frozen=True, kw_only=True):
    """File sharing of Windows."""

    server_smb1: bool | UnsetType = UNSET
    """Others may come in by version 1 of the protocol."""
    client_smb1: bool | UnsetType = UNSET
    """This machine may go to others by version 1."""
    server_signing: bool | UnsetType = UNSET
    """Signatures are demanded of those who come in; undetermined where it is left to Windows' own default."""
    client_signing: bool | UnsetType = UNSET
    """Signatures are demanded of the machines this one goes to; undetermined likewise."""


class RemoteAccess(Fact, frozen=True, kw_only=True):
    """Section `remote_access`."""

    ssh: SshServer | UnsetType = UNSET
    """Left out when no SSH server is installed; `ssh_installed` says which it is."""
    ssh_installed: bool | UnsetType = UNSET
    """An SSH server is installed."""
    rdp_enabled: bool | UnsetType = UNSET
    """Windows: Remote Desktop lets people in (fDenyTSConnections)."""
    rdp_nla: bool | UnsetType = UNSET
    """Windows: Remote Desktop demands authentication before a session is made (Network Level Authentication)."""
    smb: Smb | UnsetType = UNSET
    """Windows only."""
    llmnr: bool | UnsetType = UNSET
    """Windows: asks the neighbours for names that DNS does not know (Link-Local Multicast Name Resolution)."""
    netbios: bool | UnsetType = UNSET
    """Windows: some network adapter speaks NetBIOS over TCP/IP."""
    winrm: bool | UnsetType = UNSET
    """Windows: the service for management from afar (WS-Management, PowerShell) runs."""
    remote_tools: tuple[str, ...] | UnsetType = UNSET
    """Products that let somebody see or steer this machine from afar and that ran at the time: `teamviewer`,
    `anydesk`, … Left out where processes are hidden from this agent and it sees none."""
