"""What the machine is."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent import facts
from secmon_agent.host import Host
from secmon_agent.probes.chassis import Chassis, chassis
from secmon_agent.probes.placeholders import meaningful
from secmon_agent.probes.virtualization_linux import container, hypervisor

_DMI: Final = "/sys/class/dmi/id"


def host_linux(host: Host) -> facts.Host:
    """Sources: /proc/sys/kernel/hostname, /etc/hosts, /sys/class/dmi/id, /proc/cpuinfo, /proc/meminfo.

    Rights: root for `serial`, and for a container that shows only in the environment of process 1; others leave it
    out.
    """
    name, domain = _names(host)
    runtime = container(host)
    machine = hypervisor(host)
    processors = host.text_if_any("/proc/cpuinfo", 8 << 20) or ""
    model = re.search(r"^model name\s*:\s*(.+)$", processors, re.MULTILINE)
    return facts.Host(
        hostname=name or UNSET,
        domain=domain,
        manufacturer=_dmi(host, "sys_vendor"),
        model=_dmi(host, "product_name"),
        serial=_dmi(host, "product_serial"),
        chassis=_chassis(host, runtime, machine),
        virtualization=runtime or machine or ("none" if machine == "" else UNSET),
        firmware_version=_dmi(host, "bios_version"),
        memory_bytes=_memory(host),
        cpu_model=" ".join(model[1].split()) if model else UNSET,
        cpu_count=len(re.findall(r"^processor\s*:", processors, re.MULTILINE)) or UNSET,
    )


def _names(host: Host) -> tuple[str, str]:
    full = (host.text_if_any("/proc/sys/kernel/hostname") or "").strip()
    name, _, domain = full.partition(".")
    return name, (domain or _domain_in_hosts(host, name)).lower()


def _domain_in_hosts(host: Host, name: str) -> str:
    pattern = rf"^[^#\n]*\s{re.escape(name)}\.(\S+)"
    found = re.search(pattern, host.text_if_any("/etc/hosts") or "", re.MULTILINE | re.IGNORECASE)
    return found[1] if found and name and found[1].lower() != "localdomain" else ""


def _dmi(host: Host, name: str) -> str | UnsetType:
    try:
        return meaningful(host.text_if_any(f"{_DMI}/{name}") or "")
    except PermissionError:
        return UNSET


def _chassis(host: Host, runtime: str, machine: str | None) -> Chassis | UnsetType:
    if runtime:
        return "container"
    if machine:
        return "virtual"
    text = (host.text_if_any(f"{_DMI}/chassis_type") or "").strip()
    return chassis(int(text)) if text.isdecimal() else UNSET


def _memory(host: Host) -> int | UnsetType:
    found = re.search(r"^MemTotal:\s*(\d+) kB", host.text_if_any("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) // 1024 * (1 << 20) if found else UNSET
