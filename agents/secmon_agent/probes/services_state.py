"""What the service manager of Windows says right now, for several probes."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.registry import HKLM, number

SERVICES: Final = HKLM + r"\SYSTEM\CurrentControlSet\Services"
_AUTO: Final = 2
_DISABLED: Final = 4


def running_services(host: Host) -> dict[str, bool] | None:
    """By lower-case name; None without the right to ask."""
    try:
        return host.once("services.running", lambda: _lower(host.system.running_services()))
    except PermissionError:
        return None


def installed(host: Host, name: str) -> bool:
    return bool(values_if_any(host, f"{SERVICES}\\{name}"))


def runs(host: Host, name: str) -> bool | UnsetType:
    """Undetermined for a service that is not installed, and without the right to ask."""
    states = running_services(host)
    return UNSET if states is None or not installed(host, name) else states.get(name.lower(), UNSET)


def stays(host: Host, name: str) -> bool | UnsetType:
    """Like `runs`; a service that waits for something to start it is undetermined while it does not run."""
    found = runs(host, name)
    start = number(values_if_any(host, f"{SERVICES}\\{name}"), "Start")
    return UNSET if found is False and start != _DISABLED and _on_demand(host, name, start) else found


def _on_demand(host: Host, name: str, start: int | None) -> bool:
    return start != _AUTO or bool(subkeys_if_any(host, f"{SERVICES}\\{name}\\TriggerInfo"))


def _lower(states: dict[str, bool]) -> dict[str, bool]:
    return {name.lower(): state for name, state in states.items()}
