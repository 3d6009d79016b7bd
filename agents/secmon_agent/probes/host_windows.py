"""What the machine is."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent import facts
from secmon_agent.host import Host
from secmon_agent.probes.asking import told
from secmon_agent.probes.chassis import chassis
from secmon_agent.probes.placeholders import meaningful
from secmon_agent.questions.smbios import Smbios
from secmon_agent.registry import HKLM, Value, text

_BIOS: Final = HKLM + r"\HARDWARE\DESCRIPTION\System\BIOS"
_PROCESSORS: Final = HKLM + r"\HARDWARE\DESCRIPTION\System\CentralProcessor"
_TCPIP: Final = HKLM + r"\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
_MIB: Final = 1 << 20
_VIRTUAL: Final = (
    ("VMware", "vmware"),
    ("VirtualBox", "oracle"),
    ("Virtual Machine", "microsoft"),
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
    ("Xen", "xen"),
)


def host_windows(host: Host) -> facts.Host:
    """Sources: registry (`HARDWARE\\DESCRIPTION\\System`, `Tcpip\\Parameters`), GlobalMemoryStatusEx,
    GetSystemFirmwareTable.

    Rights: none.
    """
    bios = values_if_any(host, _BIOS)
    network = values_if_any(host, _TCPIP)
    processors = _processors(host)
    virtual = _virtualization(bios)
    firmware = told(host, "smbios", Smbios) or Smbios()
    name, domain = text(network, "Hostname") or text(network, "NV Hostname"), text(network, "Domain")
    return facts.Host(
        hostname=name or host.system.hostname() or UNSET,
        domain=(domain or "").lower() if network else UNSET,
        manufacturer=meaningful(text(bios, "SystemManufacturer") or ""),
        model=meaningful(text(bios, "SystemProductName") or ""),
        serial=UNSET if firmware.serial is UNSET else meaningful(firmware.serial),
        chassis="virtual" if virtual else UNSET if firmware.chassis is UNSET else chassis(firmware.chassis),
        virtualization=virtual or UNSET,
        firmware_version=meaningful(text(bios, "BIOSVersion") or ""),
        memory_bytes=host.system.memory_bytes() // _MIB * _MIB,
        cpu_model=_processor_name(host, processors),
        cpu_count=len(processors) or UNSET,
    )


def values_if_any(host: Host, key: str) -> dict[str, Value]:
    """Empty where there is no such key."""
    try:
        return host.registry.values(key)
    except FileNotFoundError:
        return {}


def subkeys_if_any(host: Host, key: str) -> list[str]:
    """Empty where there is no such key."""
    try:
        return host.registry.subkeys(key)
    except FileNotFoundError:
        return []


def _processors(host: Host) -> list[str]:
    return [name for name in subkeys_if_any(host, _PROCESSORS) if name.isdecimal()]


def _processor_name(host: Host, processors: list[str]) -> str | UnsetType:
    if not processors:
        return UNSET
    return meaningful(text(values_if_any(host, f"{_PROCESSORS}\\{processors[0]}"), "ProcessorNameString") or "")


def _virtualization(bios: dict[str, Value]) -> str:
    """Empty where the firmware names no hypervisor; a bare metal machine cannot be told for certain from it."""
    said = f"{text(bios, 'SystemManufacturer')} {text(bios, 'SystemProductName')}"
    return next((name for mark, name in _VIRTUAL if mark in said), "")
