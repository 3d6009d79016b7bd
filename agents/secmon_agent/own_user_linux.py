"""The agent as a user of its own, with root's eyes and without root's hands.

The service runs so by its unit. A command that root starts over the service's folder becomes that user first: what it
leaves there is the service's, and nobody who broke into the service can make root write elsewhere by a link laid there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Final

from secmon_agent.errors import AgentError

CAPABILITIES: Final = {"CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19}
"""Reading every file, the packet filter's rules, those of the legacy iptables, which process holds a socket
(capabilities(7)); as in the units."""
_KEEP_CAPABILITIES, _AMBIENT, _AMBIENT_RAISE = 8, 47, 2
"""Of prctl(2)."""
_VERSION_3: Final = 0x20080522
"""Of capset(2): two words of 32 bits for each set."""


def become_owner(folder: Path) -> None:
    """Where root works over a folder of somebody else: become its owner for good. Raises AgentError."""
    if os.geteuid() != 0:
        return
    with contextlib.suppress(FileNotFoundError):
        owner = folder.stat()
        if owner.st_uid != 0:
            try:
                _become(owner.st_uid, owner.st_gid)
            except OSError as error:
                raise AgentError(f"cannot become the owner of {folder}: {error.strerror or error}") from None


def _become(user: int, group: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    kept = sum(1 << number for number in CAPABILITIES.values()) & _permitted()
    _check(libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)  # effective, permitted, inheritable; then the higher bits
    _check(libc.capset(header, sets))
    for number in CAPABILITIES.values():
        if kept >> number & 1:  # programs that are asked, nft among them, inherit it
            _check(libc.prctl(_AMBIENT, _AMBIENT_RAISE, number, 0, 0))


def _permitted() -> int:
    """What this process may have: a container may hold some back."""
    with Path("/proc/self/status").open("rb") as lines:
        return next((int(line.split()[1], 16) for line in lines if line.startswith(b"CapPrm:")), 0)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
