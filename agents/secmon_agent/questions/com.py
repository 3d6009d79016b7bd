"""What a COM call that went wrong means. Messages of Windows are in its language, so only the number travels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from secmon_agent.host import DeniedError, ProbeError, UnsupportedError

_EXCEPTION: Final = 0x80020009
"""DISP_E_EXCEPTION: the cause stands in the sixth part of `excepinfo`."""
_DENIED: Final = frozenset({0x80070005, 0x80041003, 0x80240044})
"""E_ACCESSDENIED, WBEM_E_ACCESS_DENIED, WU_E_PER_MACHINE_UPDATE_ACCESS_DENIED."""
_MISSING: Final = frozenset({0x8004100E, 0x80041010, 0x80040154, 0x800401F3})
"""WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS, REGDB_E_CLASSNOTREG, CO_E_CLASSSTRING."""


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Errors of COM inside become those of a probe, about `what`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - pywintypes.com_error exists on Windows alone
        raise translated(error, what) from None


def code(error: Exception) -> int | None:
    """The HRESULT of a `pywintypes.com_error`, unsigned; None for any other error."""
    hresult = getattr(error, "hresult", None)
    if not isinstance(hresult, int):
        return None
    found = unsigned(hresult)
    details = getattr(error, "excepinfo", None)
    inner = details[5] if isinstance(details, tuple) and len(details) > 5 else None
    return unsigned(inner) if found == _EXCEPTION and isinstance(inner, int) and inner else found


def translated(error: Exception, what: str) -> Exception:
    """`error` as a probe would say it, about `what`; itself where it is none of COM."""
    found = code(error)
    if found is None:
        return error
    text = f"{what}: error {name(found)}"
    if found in _DENIED:
        return DeniedError(text)
    return UnsupportedError(text) if found in _MISSING else ProbeError(text)


def name(hresult: int) -> str:
    """`0x8024402C`."""
    return f"0x{unsigned(hresult):08X}"


def unsigned(number: int) -> int:
    """COM hands 32-bit numbers over as if the highest bit were a sign."""
    return number & 0xFFFFFFFF
