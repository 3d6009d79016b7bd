"""Container runtime or hypervisor, in the words of systemd-detect-virt."""

from __future__ import annotations

import re
from typing import Final

from secmon_agent.host import Host

_DMI: Final = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
)
_CLOCKS: Final = (("kvm-clock", "kvm"), ("hyperv", "microsoft"), ("xen", "xen"))
_CLOCK_SOURCES: Final = "/sys/devices/system/clocksource/clocksource0/available_clocksource"


def container(host: Host) -> str:
    """Empty where this is no container."""
    for name in ("/run/systemd/container", "/run/host/container-manager"):
        if found := (host.text_if_any(name) or "").strip():
            return found
    if host.exists("/run/.containerenv"):
        return "podman"
    if host.exists("/.dockerenv"):
        return "docker"
    if host.exists("/proc/vz") and not host.exists("/proc/bc"):
        return "openvz"
    return _from_environment(host)


def _from_environment(host: Host) -> str:
    try:
        environment = host.text_if_any("/proc/1/environ") or ""
    except PermissionError:
        return ""
    found = re.search(r"(?:^|\0)container=([a-z0-9_-]{1,32})(?:\0|$)", environment)
    return found[1] if found else ""


def hypervisor(host: Host) -> str | None:
    """Empty on bare metal; None where neither can be told."""
    dmi = " ".join(
        (host.text_if_any(f"/sys/class/dmi/id/{name}") or "").strip()
        for name in ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
    )
    for mark, name in _DMI:
        if mark in dmi:
            return name
    if "Microsoft Corporation" in dmi and "Virtual Machine" in dmi:
        return "microsoft"
    clocks = host.text_if_any(_CLOCK_SOURCES) or ""
    for mark, name in _CLOCKS:
        if mark in clocks:
            return name
    return _by_processor(host)


def _by_processor(host: Host) -> str | None:
    flags = re.search(r"^flags\s*:(.*)$", host.text_if_any("/proc/cpuinfo", 8 << 20) or "", re.MULTILINE)
    if flags is None:
        return None
    return "vm-other" if "hypervisor" in flags[1].split() else ""
