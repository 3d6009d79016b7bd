"""Windows services, from the registry; whether they run, from the service manager."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Service, Services
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any
from secmon_agent.probes.services_state import SERVICES, running_services
from secmon_agent.registry import number

Start = Literal["auto", "manual", "disabled", "masked", "static"]

KEY: Final = SERVICES
_STARTS: Final[dict[int, Start]] = {2: "auto", 3: "manual", 4: "disabled"}
_PROGRAM_TYPES: Final = 0x30
"""SERVICE_WIN32_OWN_PROCESS | SERVICE_WIN32_SHARE_PROCESS; everything else is a driver."""
_USER_TEMPLATE: Final = 0x40
"""Pattern of such a copy; it never runs itself."""
_USER_INSTANCE: Final = 0x80
"""Copy of a service for one logon, with a random name."""


def services_windows(host: Host) -> Services:
    """Sources: registry, `CurrentControlSet\\Services`; service manager.

    Rights: none; `running` is left out without the right to ask the service manager.
    """
    running = running_services(host)
    found = (_service(host, name, running) for name in host.registry.subkeys(KEY))
    return Services(manager="windows", services=tuple(service for service in found if service is not None))


def _service(host: Host, name: str, running: dict[str, bool] | None) -> Service | None:
    """`running` is told of services that start with Windows and stay, neither delayed nor started by a trigger, and of
    disabled ones, which may still run since before."""
    try:
        values = host.registry.values(f"{KEY}\\{name}")
    except (FileNotFoundError, PermissionError):
        return None
    kind, start = number(values, "Type") or 0, _STARTS.get(number(values, "Start") or 0)
    if not kind & _PROGRAM_TYPES or kind & _USER_INSTANCE or start is None:
        return None
    delayed = number(values, "DelayedAutostart") not in (None, 0)
    triggered = bool(subkeys_if_any(host, f"{KEY}\\{name}\\TriggerInfo"))
    resident = start == "disabled" or (start == "auto" and not delayed and not triggered)
    return Service(
        name=name,
        start=start,
        running=_state(name, running) if resident and not kind & _USER_TEMPLATE else UNSET,
        delayed=delayed if start == "auto" else UNSET,
        triggered=triggered,
    )


def _state(name: str, running: dict[str, bool] | None) -> bool | UnsetType:
    return UNSET if running is None else running.get(name.lower(), UNSET)
