"""Probes of a Linux machine, by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from secmon_agent.facts import Section
from secmon_agent.host import Host
from secmon_agent.probes.accounts_linux import accounts
from secmon_agent.probes.antimalware_linux import antimalware_linux
from secmon_agent.probes.audit_log_linux import audit_log
from secmon_agent.probes.boot_linux import boot
from secmon_agent.probes.disk_encryption_linux import disk_encryption
from secmon_agent.probes.firewall_linux import firewall
from secmon_agent.probes.hardening_linux import hardening
from secmon_agent.probes.host_linux import host_linux
from secmon_agent.probes.interfaces_linux import interfaces_linux
from secmon_agent.probes.os_linux import os_linux
from secmon_agent.probes.packages_linux import patches, software
from secmon_agent.probes.password_policy_linux import password_policy
from secmon_agent.probes.ports_linux import ports_linux
from secmon_agent.probes.remote_access_linux import remote_access
from secmon_agent.probes.removable_linux import removable_linux
from secmon_agent.probes.screen_lock_linux import screen_lock
from secmon_agent.probes.services_systemd import services
from secmon_agent.probes.time_sync_linux import time_sync

PROBES: Final[Mapping[str, Callable[[Host], Section]]] = {
    "host": host_linux,
    "os": os_linux,
    "patches": patches,
    "software": software,
    "ports": ports_linux,
    "firewall": firewall,
    "antimalware": antimalware_linux,
    "interfaces": interfaces_linux,
    "accounts": accounts,
    "password_policy": password_policy,
    "screen_lock": screen_lock,
    "disk_encryption": disk_encryption,
    "removable_media": removable_linux,
    "services": services,
    "audit_log": audit_log,
    "time_sync": time_sync,
    "remote_access": remote_access,
    "boot": boot,
    "hardening": hardening,
}
