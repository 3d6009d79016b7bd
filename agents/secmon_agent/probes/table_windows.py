"""Probes of a Windows machine, by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from secmon_agent.facts import Section
from secmon_agent.host import Host
from secmon_agent.probes.audit_log_windows import audit_log_windows
from secmon_agent.probes.host_windows import host_windows
from secmon_agent.probes.interfaces_windows import interfaces_windows
from secmon_agent.probes.os_windows import os_windows
from secmon_agent.probes.ports_windows import ports_windows
from secmon_agent.probes.remote_access_windows import remote_access_windows
from secmon_agent.probes.removable_windows import removable_windows
from secmon_agent.probes.services_windows import services_windows
from secmon_agent.probes.software_windows import software_windows
from secmon_agent.probes.time_sync_windows import time_sync_windows

PROBES: Final[Mapping[str, Callable[[Host], Section]]] = {
    "host": host_windows,
    "os": os_windows,
    "ports": ports_windows,
    "interfaces": interfaces_windows,
    "software": software_windows,
    "removable_media": removable_windows,
    "services": services_windows,
    "audit_log": audit_log_windows,
    "time_sync": time_sync_windows,
    "remote_access": remote_access_windows,
}
