"""How hard the system makes it to raise one's rights: kernel, mounts, rights of files, core dumps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from secmon_agent.facts import FolderMount, Hardening, KernelSettings
from secmon_agent.host import Host
from secmon_agent.probes.file_rights_linux import file_rights, world_writable
from secmon_agent.probes.mounts_linux import mounts_text, options
from secmon_agent.probes.settings_files import merged_ini

_SYSCTLS: Final[Mapping[str, str]] = {
    "kernel_randomize_va_space": "kernel/randomize_va_space",
    "kernel_kptr_restrict": "kernel/kptr_restrict",
    "kernel_dmesg_restrict": "kernel/dmesg_restrict",
    "kernel_perf_event_paranoid": "kernel/perf_event_paranoid",
    "kernel_unprivileged_bpf_disabled": "kernel/unprivileged_bpf_disabled",
    "kernel_yama_ptrace_scope": "kernel/yama/ptrace_scope",
    "kernel_kexec_load_disabled": "kernel/kexec_load_disabled",
    "kernel_sysrq": "kernel/sysrq",
    "fs_suid_dumpable": "fs/suid_dumpable",
    "fs_protected_hardlinks": "fs/protected_hardlinks",
    "fs_protected_symlinks": "fs/protected_symlinks",
    "fs_protected_fifos": "fs/protected_fifos",
    "fs_protected_regular": "fs/protected_regular",
    "net_ipv4_tcp_syncookies": "net/ipv4/tcp_syncookies",
    "net_ipv4_icmp_echo_ignore_broadcasts": "net/ipv4/icmp_echo_ignore_broadcasts",
    "net_ipv4_conf_all_rp_filter": "net/ipv4/conf/all/rp_filter",
    "net_ipv4_conf_all_accept_redirects": "net/ipv4/conf/all/accept_redirects",
    "net_ipv4_conf_all_secure_redirects": "net/ipv4/conf/all/secure_redirects",
    "net_ipv4_conf_all_send_redirects": "net/ipv4/conf/all/send_redirects",
    "net_ipv4_conf_all_accept_source_route": "net/ipv4/conf/all/accept_source_route",
    "net_ipv4_conf_all_log_martians": "net/ipv4/conf/all/log_martians",
    "net_ipv6_conf_all_accept_redirects": "net/ipv6/conf/all/accept_redirects",
    "net_ipv6_conf_all_accept_source_route": "net/ipv6/conf/all/accept_source_route",
}
_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm", "/home")  # noqa: S108 - looked at, not used
_PATTERN: Final = "/proc/sys/kernel/core_pattern"
_LIMITS: Final = "/etc/security/limits.conf"


def hardening(host: Host) -> Hardening:
    """Sources: /proc/sys, /proc/1/mountinfo, rights of files, coredump.conf, limits.conf.

    Rights: root for some kernel settings and for files in closed folders; others leave their values out.
    """
    handler = _handler(host)
    return Hardening(
        kernel_settings=_kernel_settings(host),
        folder_mounts=_folder_mounts(host),
        world_writable=world_writable(host),
        file_rights=file_rights(host),
        core_dump_handler=handler,
        core_dumps_kept=_kept(host) if handler == "systemd-coredump" else UNSET,
        core_dumps_limited=_limited(host),
    )


def _kernel_settings(host: Host) -> KernelSettings:
    """What this kernel does not have, or does not show, is left out."""
    values = {}
    for name, path in _SYSCTLS.items():
        try:
            text = (host.text_if_any(f"/proc/sys/{path}") or "").strip()
        except PermissionError:
            continue
        if re.fullmatch(r"-?\d{1,9}", text):
            values[name] = int(text)
    return msgspec.convert(values, KernelSettings)


def _folder_mounts(host: Host) -> tuple[FolderMount, ...]:
    mounts = options(mounts_text(host))
    real = {path: host.files.realpath(path) for path in _FOLDERS if host.exists(path)}
    return tuple(_folder_mount(path, place, mounts) for path, place in real.items())


def _folder_mount(path: str, place: str, mounts: Mapping[str, frozenset[str]]) -> FolderMount:
    """`place` is where links lead; it lies on the file system with the longest mount point above it."""
    above = [point for point in mounts if place == point or place.startswith(point.rstrip("/") + "/")]
    if not above:
        return FolderMount(path=path)
    point = max(above, key=len)
    found = mounts[point]
    return FolderMount(
        path=path, separate=point == place, nodev="nodev" in found, nosuid="nosuid" in found, noexec="noexec" in found
    )


def _handler(host: Host) -> str | UnsetType:
    text = host.text_if_any(_PATTERN)
    if text is None:
        return UNSET
    program = text.strip().removeprefix("|").strip().split(" ")[0]
    if program in ("", "/dev/null", "/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true"):
        return "none"
    return program.rpartition("/")[2] if text.startswith("|") else "file"


def _kept(host: Host) -> bool:
    settings = merged_ini(host, "/etc/systemd/coredump.conf").get("Coredump", {})
    return settings.get("Storage", "external") != "none"


def _limited(host: Host) -> bool:
    """A hard limit for `*`; the last line that names one counts."""
    folder = _LIMITS.replace(".conf", ".d")
    names = [_LIMITS, *(f"{folder}/{name}" for name in host.listdir(folder) if name.endswith(".conf"))]
    found = ""
    for name in names:
        for line in (host.text_if_any(name) or "").splitlines():
            words = line.partition("#")[0].split()
            if len(words) == 4 and words[0] == "*" and words[1] in ("hard", "-") and words[2] == "core":
                found = words[3]
    return found == "0"
