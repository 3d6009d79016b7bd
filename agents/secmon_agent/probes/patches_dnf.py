"""Pending updates of Red Hat's family, from the metadata that dnf keeps on disk. dnf itself is never run: that
takes memory, and the right to write.

The large lists are read only when one of them, the installed packages or dnf's settings changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Patches, PendingUpdate
from secmon_agent.host import Host, ProbeError, UnsupportedError
from secmon_agent.probes import dnf_conf, dnf_modules, repodata, rpmdb
from secmon_agent.probes.dnf_conf import Repository, Settings
from secmon_agent.probes.pending_since import with_since
from secmon_agent.probes.repodata import Metadata, Offer
from secmon_agent.probes.rpmdb import Installed
from secmon_agent.probes.settings_files import ini
from secmon_agent.probes.sqlite_files import rows
from secmon_agent.probes.systemd import wanted_units

HISTORY: Final = "/var/lib/dnf/history.sqlite"
_AUTOMATIC: Final = "/etc/dnf/automatic.conf"
_LAST_UPGRADE: Final = (
    "SELECT max(t.dt_end) FROM trans t JOIN trans_item i ON i.trans_id = t.id WHERE i.action = 6 AND t.state = 1"
)
"""Of the transactions that were carried out (state 1) and upgraded a package (action 6)."""
_CLOCK_TOLERANCE: Final = timedelta(hours=1)

Fetched = list[tuple[Repository, Metadata]]


class _Found(Struct, frozen=True, kw_only=True):
    pending: list[PendingUpdate]
    advisories: bool
    """Some repository says which updates are for security."""


class _Market(Struct, frozen=True, kw_only=True):
    """What is for sale, for the installed packages."""

    offers: dict[str, list[tuple[Repository, Offer]]]
    advised: dict[str, list[Offer]] | None
    """By package name; None where no repository says."""


def patches(host: Host) -> Patches:
    """Sources: rpm's database, /var/cache/dnf, /etc/dnf, /etc/yum.repos.d, /var/lib/dnf/history.sqlite."""
    if not host.exists(dnf_conf.MAIN):
        raise UnsupportedError("rpm packages without dnf: yum and zypper are not read by this version")
    settings = dnf_conf.read(host)
    packages = rpmdb.installed(host)
    fetched, complete = _fetched(host, settings)
    since = _lists_updated_at(host, fetched) if complete else None
    found = _remembered(host, settings, packages, fetched) if fetched else None
    pending = UNSET if found is None or not complete else tuple(with_since(host, found.pending, since))
    return Patches(
        manager="dnf",
        lists_updated_at=since or UNSET,
        pending=pending,
        held=tuple(sorted({it.name for it in packages if _matches(it.name, it.architecture, settings.held)})),
        last_installed_at=_last_installed_at(host),
        automatic=_automatic(host),
        security_archive=UNSET if found is None else found.advisories,
    )


def _fetched(host: Host, settings: Settings) -> tuple[Fetched, bool]:
    """The repositories that were ever fetched, and whether those are all that dnf would insist on."""
    folders = repodata.folders(host, settings.cache)
    found = [(it, repodata.metadata(host, folders[it.id])) for it in settings.repositories if it.id in folders]
    missing = [it for it in settings.repositories if it.id not in folders and not it.optional]
    return found, bool(found) and not missing


def _lists_updated_at(host: Host, fetched: Fetched) -> datetime | None:
    """Of the repository that was fetched longest ago: dnf touches the index each time it is confirmed. None where that
    lies in the future: then a clock was wrong, and nobody can tell."""
    moments = [host.modified(repodata.index_file(it.folder)) for _, it in fetched]
    known = [moment for moment in moments if moment is not None]
    latest = host.now() + _CLOCK_TOLERANCE
    return min(known) if known and max(known) <= latest else None


def _remembered(host: Host, settings: Settings, packages: list[Installed], fetched: Fetched) -> _Found:
    depends = (
        rpmdb.marks(host),
        settings,
        [it.index for _, it in fetched],
        host.marks(*dnf_modules.settings_files(host)),
    )
    return host.remembered("dnf.pending", depends, _Found, lambda: _find(host, packages, fetched))


def _find(host: Host, packages: list[Installed], fetched: Fetched) -> _Found:
    native = host.system.architecture()
    newest: dict[tuple[str, str], Installed] = {}
    for package in packages:
        known = newest.get((package.name, package.architecture))
        if known is None or package.key > known.key:
            newest[package.name, package.architecture] = package
    market = _market(host, frozenset(name.encode() for name, _ in newest), fetched)
    updates = (_update(package, native, market) for package in newest.values())
    return _Found(pending=[update for update in updates if update is not None], advisories=market.advised is not None)


def _market(host: Host, wanted: frozenset[bytes], fetched: Fetched) -> _Market:
    allowed = dnf_modules.modules(host, [it.files["modules"] for _, it in fetched if "modules" in it.files])
    offers: dict[str, list[tuple[Repository, Offer]]] = {}
    advised: dict[str, list[Offer]] = {}
    for repository, found in fetched:
        if "primary" not in found.files:
            raise ProbeError("a repository has no list of packages")
        for offer in repodata.offers(host, found.files["primary"], wanted):
            if _sold(repository, offer) and allowed.allow(offer, repository.beside_modules):
                offers.setdefault(offer.name, []).append((repository, offer))
        if "updateinfo" in found.files:
            for offer in repodata.security_packages(host, found.files["updateinfo"]):
                if offer.name.encode() in wanted:
                    advised.setdefault(offer.name, []).append(offer)
    known = any("updateinfo" in found.files for _, found in fetched)
    return _Market(offers=offers, advised=advised if known else None)


def _sold(repository: Repository, offer: Offer) -> bool:
    if repository.includes and not _matches(offer.name, offer.architecture, repository.includes):
        return False
    return not _matches(offer.name, offer.architecture, repository.excludes)


def _matches(name: str, architecture: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(f"{name}.{architecture}", pattern) for pattern in patterns)


def _update(package: Installed, native: str, market: _Market) -> PendingUpdate | None:
    """The newest version that replaces the installed one, of the repositories with the best priority for its name."""
    offers = market.offers.get(package.name, [])
    best = min((repository.priority for repository, _ in offers), default=0)
    newer = [
        (repository, offer)
        for repository, offer in offers
        if repository.priority == best and _replaces(offer, package) and offer.key > package.key
    ]
    if not newer:
        return None
    usual = package.architecture in (native, "noarch")
    repository, chosen = max(newer, key=lambda found: found[1].key)
    return PendingUpdate(
        package=package.name if usual else f"{package.name}:{package.architecture}",
        installed_version=package.evr,
        candidate_version=chosen.evr,
        security=_is_security(package, chosen, market.advised),
        origin=repository.id,
    )


def _replaces(offer: Offer, package: Installed) -> bool:
    return offer.architecture == package.architecture or "noarch" in (offer.architecture, package.architecture)


def _is_security(package: Installed, chosen: Offer, advised: Mapping[str, list[Offer]] | None) -> bool | UnsetType:
    """A security advisory names this version or one that it supersedes."""
    if advised is None:
        return UNSET
    return any(
        package.key < offer.key <= chosen.key and _replaces(offer, package) for offer in advised.get(package.name, [])
    )


def _last_installed_at(host: Host) -> datetime | UnsetType:
    """End of the newest upgrade; left out where dnf's history cannot be read: the rest of the section stands without
    it."""
    if not host.exists(HISTORY):
        return UNSET
    try:
        found = host.remembered(
            "dnf.history", host.marks(HISTORY, f"{HISTORY}-wal"), list[int], lambda: _last_upgrade(host)
        )
    except (ProbeError, PermissionError):
        return UNSET
    return datetime.fromtimestamp(found[0], UTC) if found else UNSET


def _last_upgrade(host: Host) -> list[int]:
    """One moment, seconds since 1970, or none."""
    return [moment for (moment,) in rows(host, HISTORY, _LAST_UPGRADE) if isinstance(moment, int)]


def _automatic(host: Host) -> bool:
    """A timer of dnf-automatic installs what it finds, by its own name or by its settings."""
    wanted = wanted_units(host)
    if "dnf-automatic-install.timer" in wanted:
        return True
    commands = ini(host.text_if_any(_AUTOMATIC) or "").get("commands", {})
    return "dnf-automatic.timer" in wanted and bool(
        re.fullmatch("1|yes|true|on", commands.get("apply_updates", "no").lower())
    )
