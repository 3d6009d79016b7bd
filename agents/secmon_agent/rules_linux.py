"""What the programs that show the packet filter's rules said, kept for as long as the kernel has the same rules.

To import what starts programs, and to start nft, is a twelfth of a settled cycle. The kernel counts the changes of its
rules, and tells that number in a tenth of a millisecond.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from secmon_agent.command_result import CommandResult
from secmon_agent.memory import Memory
from secmon_agent.system_linux import attributes

if TYPE_CHECKING:
    from secmon_agent.host import Run

_SHOW: Final = ("nft", "xtables-nft-multi")
"""Programs, by the file that links lead to, that show what nf_tables in the kernel holds. What iptables-legacy shows is
not counted by anybody."""
_PASSING: Final = (b'"timeout"', b'"expires"', b'"dynamic"', b'"meter"', b'"set": {"op"', b'"map": {"op"')
"""In nft's JSON: sets that lose elements by themselves, or gain them by packets, without a change of the rules."""
_NETLINK_NETFILTER: Final = 12
_NEWGEN: Final = 10 << 8 | 15
_GETGEN: Final = 10 << 8 | 16
"""NFNL_SUBSYS_NFTABLES with NFT_MSG_NEWGEN and NFT_MSG_GETGEN."""
_GENERATION: Final = 1
"""NFTA_GEN_ID"""
_HEADERS_BYTES: Final = 20
"""Of netlink and of nfnetlink."""
_START_TIME: Final = 19
"""Of the fields in /proc/1/stat behind the name: when the first process began, which a container's does anew."""


def remembering(run: Run, memory: Memory, mark: Callable[[], bytes | None] | None = None) -> Run:
    """`run` for which a program that shows rules says again what it said, unless `mark()` is another one meanwhile."""
    mark_ = mark or rules_mark

    def answered(argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
        now = mark_() if _shows(argv[0]) else None
        if now is None:
            return run(argv, timeout_s=timeout_s, max_output_bytes=max_output_bytes)
        key, depends = f"rules.{Path(argv[0]).name}", _depends(argv, now)
        known = memory.get(key) or b""
        if known.startswith(depends):
            return CommandResult(exit_code=0, stdout=known[len(depends) :])
        result = run(argv, timeout_s=timeout_s, max_output_bytes=max_output_bytes)
        if result.exit_code == 0 and not any(word in result.stdout for word in _PASSING):
            memory.put(key, depends + result.stdout)
        return result

    return answered


def _shows(program: str) -> bool:
    return os.path.basename(os.path.realpath(program)) in _SHOW  # noqa: PTH119 - links lead to it


def _depends(argv: Sequence[str], mark: bytes) -> bytes:
    found = Path(argv[0]).stat()
    basis = (mark, tuple(argv), found.st_mtime_ns, found.st_size, found.st_ino)
    return hashlib.sha256(msgspec.msgpack.encode(basis)).digest()


def rules_mark() -> bytes | None:
    """What is the same as long as the kernel holds the same rules for this network namespace; None where it does not
    say. The number of changes begins anew with a namespace, whose own number may come again with a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        started = Path("/proc/1/stat").read_bytes().rpartition(b")")[2].split()[_START_TIME]
        space = bytes(Path("/proc/self/ns/net").readlink())
        return b"\0".join((boot, started, space, b"%d" % generation()))
    except (OSError, ValueError, IndexError):
        return None


def generation() -> int:
    """How often the rules were changed since the network namespace began. Raises OSError, and ValueError where the
    answer is none.

    Rights: CAP_NET_ADMIN.
    """
    request = struct.pack("=IHHIIBBH", _HEADERS_BYTES, _GETGEN, 1, 1, 0, 0, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as link:
        link.settimeout(5)
        link.send(request)
        return read_generation(link.recv(1 << 16))


def read_generation(message: bytes) -> int:
    """ValueError where this is no such answer."""
    length, kind = struct.unpack_from("=IH", message) if len(message) >= _HEADERS_BYTES else (0, 0)
    found = attributes(message[_HEADERS_BYTES:length]).get(_GENERATION, b"")
    if kind != _NEWGEN or len(found) != 4:
        raise ValueError("netlink says no generation of the rules")
    return int.from_bytes(found, "big")
