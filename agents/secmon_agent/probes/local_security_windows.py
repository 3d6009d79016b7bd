"""What netapi32 says of accounts and passwords, asked once a cycle, and the errors that it answers instead."""

from __future__ import annotations

from typing import Final

from secmon_agent.host import DeniedError, Host, ProbeError, UnsupportedError
from secmon_agent.questions.local_security import Fault, LocalSecurity

FOR_EVER: Final = 0xFFFFFFFF
_DENIED: Final = 5
_NOT_HERE: Final = frozenset({50, 120, 124, 2140})
"""ERROR_NOT_SUPPORTED, ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_LEVEL, NERR_InternalError."""


def local_security(host: Host) -> LocalSecurity:
    return host.once("local_security", lambda: host.ask("local_security", LocalSecurity))


def error_of(found: LocalSecurity, field: str) -> ProbeError:
    """Why `field` is missing."""
    fault = found.faults.get(field, Fault(function=field, number=0))
    text = f"{fault.function}: error {fault.number}"
    if fault.number == _DENIED:
        return DeniedError(text)
    return UnsupportedError(text) if fault.number in _NOT_HERE else ProbeError(text)
