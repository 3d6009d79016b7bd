"""Who keeps the clock right on Windows. Whether it is right shows in the offset against the collector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import UNSET

from secmon_agent.facts import TimeSync
from secmon_agent.host import Host, UnsupportedError
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.probes.services_state import SERVICES, stays
from secmon_agent.registry import HKLM, text

_OWN: Final = rf"{SERVICES}\W32Time\Parameters"
_POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\W32Time\Parameters"
_METHODS: Final[Mapping[str, Literal["domain", "servers", "both", "none"]]] = {
    "nt5ds": "domain",
    "ntp": "servers",
    "allsync": "both",
    "nosync": "none",
}


def time_sync_windows(host: Host) -> TimeSync:
    """Sources: registry, `W32Time\\Parameters` and its policy; service manager.

    Rights: none; `running` is left out without the right to ask the service manager.
    """
    own, policy = values_if_any(host, _OWN), values_if_any(host, _POLICY)
    if not own:
        raise UnsupportedError("Windows' own time service is not installed, and no other is known here")
    method = _METHODS.get((text(policy, "Type") or text(own, "Type") or "").lower(), UNSET)
    servers = parse_servers(text(policy, "NtpServer") or text(own, "NtpServer") or "")
    return TimeSync(
        client="w32time",
        running=stays(host, "W32Time"),
        servers=servers if method in ("servers", "both") else UNSET,
        method=method,
    )


def parse_servers(value: str) -> tuple[str, ...]:
    """Names of `time.windows.com,0x9 ntp.example,0x8`, without the flags."""
    names = (word.partition(",")[0] for word in value.split())
    return tuple(dict.fromkeys(name for name in names if name))
