"""Which package manager keeps this machine; the probes of the other are not even imported."""

from __future__ import annotations

from typing import Final, Literal

from secmon_agent.facts import Patches, Software
from secmon_agent.host import AbsentError, Host

_DPKG: Final = "/var/lib/dpkg/status"
_RPM: Final = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")


def manager(host: Host) -> Literal["dpkg", "rpm"]:
    """dpkg, where it knows of a package: rpm is installed on many Debian machines as a tool. AbsentError where there is
    neither."""
    status = host.stat(_DPKG)
    rpm = any(host.exists(folder) for folder in _RPM)
    if status is not None and (status.size > 0 or not rpm):
        return "dpkg"
    if rpm:
        return "rpm"
    raise AbsentError("no package manager that this agent knows")


def software(host: Host) -> Software:
    """Sources: /var/lib/dpkg/status, or rpm's database (`rpm -qa` where its format is an older one).

    Rights: none.
    """
    if manager(host) == "rpm":
        from secmon_agent.probes import software_rpm

        return software_rpm.software(host)
    from secmon_agent.probes import software_dpkg

    return software_dpkg.software(host)


def patches(host: Host) -> Patches:
    """Sources: /var/lib/dpkg/status, /var/lib/apt/lists, /etc/apt, /var/log/apt/history.log; rpm's database,
    /var/cache/dnf, /etc/dnf, /etc/yum.repos.d, /var/lib/dnf/history.sqlite.

    Rights: none; `last_installed_at` is left out where the package manager's history is closed to the agent.
    """
    if manager(host) == "rpm":
        from secmon_agent.probes import patches_dnf

        return patches_dnf.patches(host)
    from secmon_agent.probes import patches_apt

    return patches_apt.patches(host)
