"""Where Windows looks for updates and what it does with them, from the registry."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.host import Host
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.registry import HKLM, number, text

Automatic = Literal["disabled", "notify-download", "notify-install", "scheduled", "local-choice", "notify-restart"]

_POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
_AUTO_UPDATE: Final = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"
_SERVICE: Final = HKLM + r"\SYSTEM\CurrentControlSet\Services\wuauserv"
_OPTIONS: Final[dict[int, Automatic]] = {
    2: "notify-download", 3: "notify-install", 4: "scheduled", 5: "local-choice", 7: "notify-restart",
}  # fmt: skip
"""AUOptions."""
_DISABLED: Final = 4


class UpdatePolicy(Struct, frozen=True, kw_only=True):
    source: Literal["wsus", "internet"]
    server: str | UnsetType
    automatic: Automatic | UnsetType
    service_disabled: bool


def update_policy(host: Host) -> UpdatePolicy:
    """A machine without any policy asks Microsoft."""
    values, options = values_if_any(host, _POLICY), values_if_any(host, rf"{_POLICY}\AU")
    managed = number(options, "UseWUServer") == 1 and text(values, "WUServer") is not None
    # Since Windows 10 2004 policy may send quality updates to Microsoft although a WSUS is set.
    split = number(values, "UseUpdateClassPolicySource") == 1
    elsewhere = split and number(values, "SetPolicyDrivenUpdateSourceForQualityUpdates") == 0
    disabled = number(options, "NoAutoUpdate") == 1
    return UpdatePolicy(
        source="wsus" if managed and not elsewhere else "internet",
        server=address(text(values, "WUServer") or ""),
        automatic="disabled" if disabled else _OPTIONS.get(number(options, "AUOptions") or 0, UNSET),
        service_disabled=number(values_if_any(host, _SERVICE), "Start") == _DISABLED,
    )


def address(url: str) -> str | UnsetType:
    """`http://wsus.example.jp:8530`: what a URL says beside user, password and path."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return UNSET
    if not name or parts.scheme not in ("http", "https"):
        return UNSET
    host = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def last_search(host: Host) -> datetime | None:
    """As Windows before 10 (1709) and some servers write it down, in UTC; None where they do not."""
    found = text(values_if_any(host, rf"{_AUTO_UPDATE}\Results\Detect"), "LastSuccessTime") or ""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found):
        return None
    try:
        return datetime.fromisoformat(found).replace(tzinfo=UTC)
    except ValueError:
        return None
