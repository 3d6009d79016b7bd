"""What the operating system tells only when asked, not in a file: addresses, sockets, services."""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType


class Address(Struct, frozen=True, kw_only=True):
    interface: str
    address: str
    prefix: int


class Socket(Struct, frozen=True, kw_only=True):
    """A TCP socket in LISTEN, or a bound UDP socket."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    process: str | UnsetType = UNSET
    pid: int | UnsetType = UNSET
    """Of the process that holds it."""
    path: str | UnsetType = UNSET
    """Windows: of the program."""
    contained: bool | UnsetType = UNSET
    """Windows: the process runs in an AppContainer, as programs from the Store do."""


class Adapter(Struct, frozen=True, kw_only=True):
    """A network interface as Windows names it."""

    name: str
    up: bool
    mac: str | UnsetType = UNSET
    addresses: tuple[str, ...] = ()
    """CIDR, without temporary ones."""
    guid: str | UnsetType = UNSET
    """In braces."""
    if_type: int | UnsetType = UNSET
    """IANA interface type."""
    gateways: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    forwarding: bool | UnsetType = UNSET
    """Packets that come in here are passed on."""


class System(Protocol):
    """Raises OSError where the system refuses, NotImplementedError where such a system cannot be asked."""

    def architecture(self) -> str: ...

    def hostname(self) -> str: ...

    def memory_bytes(self) -> int: ...

    def ipv4_addresses(self) -> list[Address]: ...

    def clock_synchronized(self) -> bool:
        """The kernel says that its clock is disciplined."""

    def sockets(self) -> list[Socket]: ...

    def adapters(self) -> list[Adapter]: ...

    def running_services(self) -> dict[str, bool]:
        """Running or not, per service name."""

    def firmware(self) -> Literal["uefi", "bios"] | None:
        """What started the machine; None where the system does not know."""

    def service_processes(self) -> dict[str, int]:
        """Process of each running service; one process may host several."""

    def processes(self) -> list[str]:
        """Names of the programs that run."""


class Recording(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recorded answers; what is left out raises PermissionError when asked."""

    architecture: str | UnsetType = UNSET
    hostname: str | UnsetType = UNSET
    memory_bytes: int | UnsetType = UNSET
    ipv4_addresses: tuple[Address, ...] | UnsetType = UNSET
    clock_synchronized: bool | UnsetType = UNSET
    sockets: tuple[Socket, ...] | UnsetType = UNSET
    adapters: tuple[Adapter, ...] | UnsetType = UNSET
    running_services: dict[str, bool] | UnsetType = UNSET
    firmware: Literal["uefi", "bios"] | UnsetType | None = UNSET
    service_processes: dict[str, int] | UnsetType = UNSET
    processes: tuple[str, ...] | UnsetType = UNSET


class RecordedSystem:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def architecture(self) -> str:
        return _known(self._recording.architecture, "architecture")

    def hostname(self) -> str:
        return _known(self._recording.hostname, "hostname")

    def memory_bytes(self) -> int:
        return _known(self._recording.memory_bytes, "memory_bytes")

    def ipv4_addresses(self) -> list[Address]:
        return list(_known(self._recording.ipv4_addresses, "ipv4_addresses"))

    def clock_synchronized(self) -> bool:
        return _known(self._recording.clock_synchronized, "clock_synchronized")

    def sockets(self) -> list[Socket]:
        return list(_known(self._recording.sockets, "sockets"))

    def adapters(self) -> list[Adapter]:
        return list(_known(self._recording.adapters, "adapters"))

    def running_services(self) -> dict[str, bool]:
        return dict(_known(self._recording.running_services, "running_services"))

    def firmware(self) -> Literal["uefi", "bios"] | None:
        return _known(self._recording.firmware, "firmware")

    def service_processes(self) -> dict[str, int]:
        return dict(_known(self._recording.service_processes, "service_processes"))

    def processes(self) -> list[str]:
        return list(_known(self._recording.processes, "processes"))


T = TypeVar("T")


def _known(value: T | UnsetType, name: str) -> T:
    if isinstance(value, UnsetType):
        raise PermissionError(13, "not recorded", name)
    return value
