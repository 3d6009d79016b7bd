"""Pending updates of Debian and its family, from the lists on disk. apt itself is never run: that costs seconds.

The large lists are read only when one of them, the installed packages or apt's settings changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Patches, PendingUpdate
from secmon_agent.host import Host
from secmon_agent.probes import apt_conf, apt_lists, apt_policy, dpkg
from secmon_agent.probes.apt_history import last_installed_at
from secmon_agent.probes.apt_policy import Archive, Offer, Pin
from secmon_agent.probes.deb_version import version_key
from secmon_agent.probes.pending_since import with_since
from secmon_agent.probes.systemd import wanted_units

SUCCESS_STAMP: Final = "/var/lib/apt/periodic/update-success-stamp"
_CLOCK_TOLERANCE: Final = timedelta(hours=1)
_TIMER: Final = "apt-daily-upgrade.timer"
_CRON: Final = "/etc/cron.daily/apt-compat"


class _Market(Struct, frozen=True, kw_only=True):
    """What is for sale: everything that apt's choice rests on."""

    archives: list[Archive]
    priorities: list[int]
    pins: list[Pin]
    offers: dict[str, list[Offer]]


def patches(host: Host) -> Patches:
    """Sources: /var/lib/dpkg/status, /var/lib/apt/lists, /etc/apt, /var/log/apt/history.log."""
    packages = dpkg.installed(host)
    settings = apt_conf.read(host)
    fetched = lists_updated_at(host)
    return Patches(
        manager="apt",
        lists_updated_at=fetched or UNSET,
        pending=_pending(host, packages, settings, fetched),
        held=tuple(package.name for package in packages if package.held),
        last_installed_at=_last_installed_at(host),
        automatic=_automatic(host, packages, settings),
        security_archive=_security_archive(host),
    )


def _last_installed_at(host: Host) -> datetime | UnsetType:
    """Left out where the history may not be read: the rest of the section stands without it."""
    try:
        return last_installed_at(host) or UNSET
    except PermissionError:
        return UNSET


def lists_updated_at(host: Host) -> datetime | None:
    """The stamp that a successful update leaves, or the last change in the folder of lists; None where there are no
    lists, or where that lies in the future: then a clock was wrong, and nobody can tell."""
    if not apt_lists.list_files(host):
        return None
    found = (host.modified(SUCCESS_STAMP), host.modified(apt_lists.FOLDER))
    latest = host.now() + _CLOCK_TOLERANCE
    return max((moment for moment in found if moment is not None and moment <= latest), default=None)


def _pending(
    host: Host, packages: list[dpkg.Installed], settings: Mapping[str, str], fetched: datetime | None
) -> tuple[PendingUpdate, ...] | UnsetType:
    """UNSET where there are no lists, or a pin that cannot be interpreted: then nothing is known."""
    lists = apt_lists.list_files(host)
    if not lists:
        return UNSET
    try:
        pins = apt_policy.read_pins(host)
    except apt_policy.UninterpretablePinError:
        return UNSET
    names = [f"{apt_lists.FOLDER}/{name}" for name in (*lists, *apt_lists.release_files(host))]
    depends = (host.marks(dpkg.STATUS, *names), pins, settings.get("apt::default-release", ""))
    found = host.remembered(
        "patches.pending", depends, list[PendingUpdate], lambda: _find(host, packages, pins, settings)
    )
    return tuple(with_since(host, found, fetched))


def _find(
    host: Host, packages: list[dpkg.Installed], pins: list[Pin], settings: Mapping[str, str]
) -> list[PendingUpdate]:
    native = dpkg.native_architecture(packages)
    architectures: dict[str, set[str]] = {}
    for package in packages:
        architectures.setdefault(package.name, set()).add(package.architecture)
    archives = apt_lists.archives(host)
    market = _Market(
        archives=archives,
        priorities=apt_policy.archive_priorities(archives, pins, settings.get("apt::default-release", "")),
        pins=pins,
        offers=apt_lists.offers(host, archives, architectures, native),
    )
    updates = (_update(package, native, market) for package in packages)
    return [update for update in updates if update is not None]


def _update(package: dpkg.Installed, native: str, market: _Market) -> PendingUpdate | None:
    architecture = native if package.architecture == "all" else package.architecture
    offers = market.offers.get(f"{package.name}:{architecture}", [])
    if all(offer.version == package.version for offer in offers):
        return None
    chosen = apt_policy.candidate(
        package.name, package.version, offers, market.archives, market.priorities, market.pins
    )
    if chosen is None:
        return None
    low, high = version_key(package.version), version_key(chosen.version)
    passed = [market.archives[offer.archive] for offer in offers if low < version_key(offer.version) <= high]
    return PendingUpdate(
        package=package.name if architecture == native else f"{package.name}:{architecture}",
        installed_version=package.version,
        candidate_version=chosen.version,
        security=any(apt_lists.is_security(archive) for archive in passed),
        origin=_origin(chosen, offers, market.archives),
        phased_percent=chosen.phased_percent if chosen.phased_percent < 100 else UNSET,
    )


def _origin(chosen: Offer, offers: Iterable[Offer], archives: list[Archive]) -> str | UnsetType:
    """Of several archives that offer the same version the security archive is named."""
    sellers = [archives[offer.archive] for offer in offers if offer.version == chosen.version]
    seller = next((archive for archive in sellers if apt_lists.is_security(archive)), archives[chosen.archive])
    # Ubuntu's codename is the same for every pocket, Debian's suite ("oldstable") moves on with each release.
    pocket = seller.suite if seller.suite.startswith(seller.codename) else seller.codename
    return " ".join(part for part in (seller.label or seller.origin, pocket) if part) or UNSET


def _security_archive(host: Host) -> bool | UnsetType:
    """Undetermined before the first update, when no list tells what the sources are."""
    names = apt_lists.list_files(host)
    if not names:
        return UNSET
    paths = [f"{apt_lists.FOLDER}/{name}" for name in (*names, *apt_lists.release_files(host))]
    found = host.remembered("patches.archives", host.marks(*paths), list[Archive], lambda: apt_lists.archives(host))
    return any(apt_lists.is_security(archive) for archive in found)


def _automatic(host: Host, packages: Iterable[dpkg.Installed], settings: Mapping[str, str]) -> bool:
    """unattended-upgrades is installed, switched on in apt's settings, and something starts it daily."""
    switches = ("enable", "update-package-lists", "unattended-upgrade")
    values = [settings.get(f"apt::periodic::{name}", "1" if name == "enable" else "0") for name in switches]
    if not all(_switched_on(value) for value in values):
        return False
    if not any(package.name == "unattended-upgrades" for package in packages):
        return False
    return _TIMER in wanted_units(host) or (not host.exists("/run/systemd/system") and host.exists(_CRON))


def _switched_on(value: str) -> bool:
    return not re.fullmatch(r"0+[smhd]?|", value)
