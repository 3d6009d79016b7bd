"""Asking Windows Management Instrumentation. Only questions do, in their child process: WMI can hang for minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from secmon_agent.host import UnsupportedError
from secmon_agent.questions import com

_NOT_FOUND: Final = 0x80041002
"""WBEM_E_NOT_FOUND: of a class or a field."""
_FORWARD_ONLY: Final = 0x30
"""wbemFlagReturnImmediately | wbemFlagForwardOnly."""


def query(namespace: str, wql_class: str, fields: Sequence[str], where: str = "") -> list[dict[str, Any]]:
    """The instances of a class, e.g. `query(r"root\\cimv2", "Win32_Service", ["Name", "State"], "Started=TRUE")`.

    A field that is null, or that the class of this Windows does not have, is left out of its row. Values are as COM
    hands them over: text, number, truth or a tuple of them; 64-bit numbers and instants are text, and a uint32 above
    0x7FFFFFFF is negative (`com.unsigned`).

    Raises DeniedError; UnsupportedError where there is no such namespace or class, as on servers without
    SecurityCenter2; ProbeError with the number of any other error.
    """
    with com.asking(rf"WMI {namespace}:{wql_class}"):
        return _rows(connected(namespace), wql_class, fields, where)


def connected(namespace: str) -> Any:
    """The SWbemServices of a namespace. Encrypted, without which the classes of BitLocker and TPM refuse to answer."""
    from win32com.client import GetObject

    return GetObject(rf"winmgmts:{{impersonationLevel=impersonate,authenticationLevel=pktPrivacy}}!\\.\{namespace}")


def _rows(services: Any, wql_class: str, fields: Sequence[str], where: str) -> list[dict[str, Any]]:
    """The class is looked up first: Wine answers a query of a class that it does not have with no rows, and a query
    that names a field which the class does not have is refused as a whole."""
    known = _known(services, wql_class, fields)
    condition = f" WHERE {where}" if where else ""
    wql = " ".join(("SELECT", ", ".join(known) or "*", "FROM", wql_class + condition))
    found = services.ExecQuery(wql, "WQL", _FORWARD_ONLY)
    rows = [{field: instance.Properties_.Item(field).Value for field in known} for instance in found]
    return [{field: value for field, value in row.items() if value is not None} for row in rows]


def _known(services: Any, wql_class: str, fields: Sequence[str]) -> list[str]:
    try:
        definition = services.Get(wql_class)
    except Exception as error:
        if com.code(error) == _NOT_FOUND:
            raise UnsupportedError(f"WMI has no class {wql_class}") from None
        raise
    return [field for field in fields if _has(definition, field)]


def _has(definition: Any, field: str) -> bool:
    try:
        definition.Properties_.Item(field)
    except Exception as error:
        if com.code(error) == _NOT_FOUND:
            return False
        raise
    return True
