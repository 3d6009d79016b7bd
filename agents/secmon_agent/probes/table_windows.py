"""Probes of a Windows machine, by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from secmon_agent.facts import Section
from secmon_agent.host import Host
from secmon_agent.probes.accounts_windows import accounts_windows
from secmon_agent.probes.antimalware_windows import antimalware_windows
from secmon_agent.probes.audit_log_windows import audit_log_windows
from secmon_agent.probes.boot_windows import boot_windows
from secmon_agent.probes.disk_encryption_windows import disk_encryption_windows
from secmon_agent.probes.firewall_windows import firewall_windows
from secmon_agent.probes.host_windows import host_windows
from secmon_agent.probes.interfaces_windows import interfaces_windows
from secmon_agent.probes.os_windows import os_windows
from secmon_agent.probes.password_policy_windows import password_policy_windows
from secmon_agent.probes.patches_windows import patches_windows
from secmon_agent.probes.ports_windows import ports_windows
from secmon_agent.probes.remote_access_windows import remote_access_windows
from secmon_agent.probes.removable_windows import removable_windows
from secmon_agent.probes.screen_lock_windows import screen_lock_windows
from secmon_agent.probes.services_windows import services_windows
from secmon_agent.probes.software_windows import software_windows
from secmon_agent.probes.time_sync_windows import time_sync_windows

PROBES: Final[Mapping[str, Callable[[Host], Section]]] = {
    "host": host_windows,
    "os": os_windows,
    "ports": ports_windows,
    "interfaces": interfaces_windows,
    "patches": patches_windows,
    "software": software_windows,
    "removable_media": removable_windows,
    "services": services_windows,
    "boot": boot_windows,
    "firewall": firewall_windows,
    "antimalware": antimalware_windows,
    "accounts": accounts_windows,
    "password_policy": password_policy_windows,
    "screen_lock": screen_lock_windows,
    "disk_encryption": disk_encryption_windows,
    "audit_log": audit_log_windows,
    "time_sync": time_sync_windows,
    "remote_access": remote_access_windows,
}
