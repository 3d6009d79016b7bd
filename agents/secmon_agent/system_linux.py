"""Asking a running Linux kernel: netlink for addresses, adjtimex for the clock."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, Literal

from secmon_agent.system import Adapter, Address, Socket

_RTM_NEWADDR: Final = 20
_RTM_GETADDR: Final = 22
_NLM_F_REQUEST_DUMP: Final = 0x301
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_TIMEX_BYTES: Final = 256
_STA_UNSYNC: Final = 0x40
_STATUS_OFFSET: Final = 40
"""Of `status` in struct timex where a long has 8 bytes."""


class LinuxSystem:
    def architecture(self) -> str:
        return os.uname().machine

    def hostname(self) -> str:
        return os.uname().nodename

    def memory_bytes(self) -> int:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def ipv4_addresses(self) -> list[Address]:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
            link.settimeout(5)
            request = struct.pack(
                "=IHHIIBBBBI", 24, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0, socket.AF_INET, 0, 0, 0, 0
            )
            link.send(request)
            found: list[Address] = []
            done = False
            while not done:
                done = read_address_messages(link.recv(1 << 16), found)
        return found

    def clock_synchronized(self) -> bool:
        import ctypes

        if ctypes.sizeof(ctypes.c_long) != 8:
            raise NotImplementedError("adjtimex is read on 64-bit systems only")
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
            raise OSError(ctypes.get_errno(), "adjtimex")
        status: int = struct.unpack_from("=i", timex.raw, _STATUS_OFFSET)[0]
        return not status & _STA_UNSYNC

    def sockets(self) -> list[Socket]:
        raise NotImplementedError("read from /proc/net")

    def adapters(self) -> list[Adapter]:
        raise NotImplementedError("read from /sys/class/net")

    def running_services(self) -> dict[str, bool]:
        raise NotImplementedError("read from /sys/fs/cgroup")

    def firmware(self) -> Literal["uefi", "bios"] | None:
        raise NotImplementedError("read from /sys/firmware")

    def service_processes(self) -> dict[str, int]:
        raise NotImplementedError("read from /sys/fs/cgroup")

    def processes(self) -> list[str]:
        raise NotImplementedError("read from /proc")


def read_address_messages(data: bytes, found: list[Address]) -> bool:
    """Append the IPv4 addresses of a netlink answer; True where the answer is complete. ValueError where it is no
    such answer."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16 or offset + length > len(data):
            raise ValueError("netlink message is cut short")
        if kind == _NLMSG_DONE:
            return True
        if kind == _NLMSG_ERROR:
            raise OSError("netlink refused the question")
        if kind == _RTM_NEWADDR and length >= 24:
            _read_address(data[offset + 16 : offset + length], found)
        offset += (length + 3) & ~3
    return False


def _read_address(message: bytes, found: list[Address]) -> None:
    family, prefix, _, _, index = struct.unpack_from("=BBBBI", message)
    values = attributes(message[8:])
    raw = values.get(_IFA_LOCAL, values.get(_IFA_ADDRESS))
    if family != socket.AF_INET or raw is None or len(raw) != 4:
        return
    found.append(Address(interface=socket.if_indextoname(index), address=socket.inet_ntoa(raw), prefix=prefix))


def attributes(data: bytes) -> dict[int, bytes]:
    values, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        values[kind] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return values
