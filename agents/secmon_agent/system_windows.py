"""Asking a running Windows machine, by psutil and the service manager."""

from __future__ import annotations

import platform
import socket
import sys
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from msgspec import UNSET, UnsetType

from secmon_agent.system import Adapter, Address, Socket

if TYPE_CHECKING:
    import psutil

_SERVICE_RUNNING: Final = 4


class WindowsSystem:
    def architecture(self) -> str:
        machine = platform.machine()
        return {"AMD64": "x86_64", "ARM64": "aarch64"}.get(machine, machine.lower())

    def hostname(self) -> str:
        return socket.gethostname()

    def memory_bytes(self) -> int:
        import psutil

        return psutil.virtual_memory().total

    def ipv4_addresses(self) -> list[Address]:
        raise NotImplementedError("part of adapters() on Windows")

    def clock_synchronized(self) -> bool:
        raise NotImplementedError("Windows does not say")

    def sockets(self) -> list[Socket]:
        import psutil

        programs: dict[int, _Program] = {}
        found = []
        for connection in psutil.net_connections("inet"):
            listening = connection.status == psutil.CONN_LISTEN
            bound = connection.type == socket.SOCK_DGRAM and not connection.raddr
            if not connection.laddr or not (listening or bound):
                continue
            program = _program(connection.pid, programs)
            found.append(
                Socket(
                    protocol="tcp" if listening else "udp",
                    address=connection.laddr.ip,
                    port=connection.laddr.port,
                    process=program.name or UNSET,
                    pid=connection.pid or UNSET,
                    path=program.path or UNSET,
                    contained=program.contained,
                )
            )
        return found

    def adapters(self) -> list[Adapter]:
        from secmon_agent.adapters_windows import adapters

        return adapters()

    def running_services(self) -> dict[str, bool]:
        return {name: state == _SERVICE_RUNNING for name, state, _ in _services()}

    def service_processes(self) -> dict[str, int]:
        return {name: pid for name, _, pid in _services() if pid}

    def firmware(self) -> Literal["uefi", "bios"] | None:
        if sys.platform != "win32":
            raise NotImplementedError("GetFirmwareType of Windows")
        import ctypes

        found = ctypes.c_uint(0)
        if not ctypes.windll.kernel32.GetFirmwareType(ctypes.byref(found)):
            return None
        return "bios" if found.value == 1 else "uefi" if found.value == 2 else None

    def processes(self) -> list[str]:
        import psutil

        return [name for pid in psutil.pids() if (name := _process_name(pid, {}))]


def _services() -> list[tuple[str, int, int]]:
    """(name, state, process or 0) of every service, by one question to the service manager."""
    if sys.platform != "win32":
        raise NotImplementedError("services of Windows")
    import pywintypes
    import win32service

    try:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ENUMERATE_SERVICE)
        try:
            found = win32service.EnumServicesStatusEx(
                manager, win32service.SERVICE_WIN32, win32service.SERVICE_STATE_ALL
            )
        finally:
            win32service.CloseServiceHandle(manager)
    except pywintypes.error as error:
        # The text is in the system's language; the number says it too.
        raise OSError(0, "EnumServicesStatusEx", None, error.winerror) from None
    return [(it["ServiceName"], it["CurrentState"], it["ProcessId"]) for it in found]


class _Program(NamedTuple):
    name: str = ""
    path: str = ""
    contained: bool | UnsetType = UNSET


def _program(pid: int | None, known: dict[int, _Program]) -> _Program:
    """Empty where nobody may know."""
    import psutil

    from secmon_agent.appcontainer_windows import contained

    if not pid:
        return _Program()
    if pid not in known:
        try:
            process = psutil.Process(pid)
            known[pid] = _Program(process.name(), _path(process), contained(pid))
        except psutil.Error:
            known[pid] = _Program()
    return known[pid]


def _path(process: psutil.Process) -> str:
    import psutil

    try:
        return process.exe()
    except (psutil.Error, OSError):
        return ""


def _process_name(pid: int | None, names: dict[int, str]) -> str:
    """Empty where nobody may know."""
    import psutil

    if not pid:
        return ""
    if pid not in names:
        try:
            names[pid] = psutil.Process(pid).name()
        except psutil.Error:
            names[pid] = ""
    return names[pid]
