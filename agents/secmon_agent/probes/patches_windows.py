"""Updates of Windows: what its last search found, what its history tells, and how it is set up.

A search that failed is a failed section with the number of the error, never "no updates".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import InstalledUpdate, Patches, PendingUpdate
from secmon_agent.host import Host
from secmon_agent.probes.asking import told
from secmon_agent.probes.os_windows import build, is_server
from secmon_agent.probes.servicing_windows import cumulative_installed_at
from secmon_agent.probes.update_policy_windows import UpdatePolicy, last_search, update_policy
from secmon_agent.questions.esu import Esu
from secmon_agent.questions.wua import Entry, Update, Wua

_STORES: Final = (
    "/Windows/SoftwareDistribution/DataStore/DataStore.edb",
    "/Windows/SoftwareDistribution/ReportingEvents.log",
)
"""Written by every search and every installation."""
_MAX_INSTALLED: Final = 200
_TIMEOUT_S: Final = 120.0
_INSTALLATION, _REMOVAL, _SUCCEEDED = 1, 2, 2
_DEFINITIONS: Final = "e0789628-ce08-4437-be74-2495b842f43b"
_SECURITY: Final = frozenset({"0fa1201d-4330-4fa8-8ae9-b877473b6441", "e6cf1350-c01b-414d-a61f-263d14d133b4"})
"""Security Updates, Critical Updates."""
_OTHER: Final = frozenset({
    _DEFINITIONS,
    "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83",  # Updates
    "28bc880e-0592-4cbf-8f95-c79b17911d5f",  # Update Rollups
    "b54e7d24-7add-428f-8b75-90a396fa584f",  # Feature Packs
    "68c5b0a3-d1a6-4553-ae49-01d3a7827828",  # Service Packs
    "b4832bd8-e735-4761-8daf-37f882276dab",  # Tools
    "3689bdc8-b205-4af4-8d4a-a63924c5e9d5",  # Upgrades
    "5c9376ab-8ce6-464a-b136-22113dd69801",  # Applications
})  # fmt: skip
_DEFINITION_KBS: Final = frozenset({"2267602", "2461484", "915597", "2310138"})
"""Of Microsoft's own antimalware: their entries in the history may lack a category."""
_LAST_BUILD_OF_10: Final = 19045
_LICENSED: Final = 1


def patches_windows(host: Host) -> Patches:
    """Sources: Windows Update Agent (history, and a search in its own store); registry, `Policies\\…\\WindowsUpdate`,
    `Auto Update\\Results`, `Component Based Servicing\\Packages`; SoftwareLicensingProduct.

    Rights: none on the machine itself; denied where the Windows Update Agent refuses to tell.
    """
    said = _said(host)
    policy = update_policy(host)
    pending = [it for it in said.updates if not _is_definition(it)]
    installed = _installed(said.history)
    searches = [it for it in (last_search(host), said.searched_at) if isinstance(it, datetime)]
    return Patches(
        manager="wua",
        lists_updated_at=max(searches, default=UNSET),
        pending=_merged(pending),
        held=tuple(dict.fromkeys(_package(it) for it in pending if it.hidden)),
        last_installed_at=max((it.installed_at for it in installed), default=UNSET),
        automatic=automatic(policy, said.notification_level),
        installed=tuple(installed[:_MAX_INSTALLED]),
        cumulative_installed_at=cumulative_installed_at(host) or UNSET,
        definitions_pending=_merged(it for it in said.updates if _is_definition(it)),
        definitions_installed_at=max((it.at for it in said.history if _done(it) and _is_definition(it)), default=UNSET),
        update_source=policy.source,
        update_server=policy.server,
        automatic_policy=policy.automatic,
        esu_years=_esu_years(host),
    )


def _said(host: Host) -> Wua:
    """Asked again when its store was written, and once a day."""
    marks = host.marks(*_STORES)
    if all(it[1] == -1 for it in marks):
        return host.ask("wua", Wua, timeout_s=_TIMEOUT_S)
    depends = (marks, host.now().date().isoformat())
    return host.remembered("patches.wua", depends, Wua, lambda: host.ask("wua", Wua, timeout_s=_TIMEOUT_S))


def _merged(updates: Iterable[Update]) -> tuple[PendingUpdate, ...]:
    """One per package: the parts of Office share their number. The oldest offer counts, and security where one is."""
    parts: dict[str, list[Update]] = {}
    for it in updates:
        parts.setdefault(_package(it), []).append(it)
    return tuple(
        PendingUpdate(
            package=package,
            security=_any([_security(it) for it in found]),
            pending_since=_oldest([it.offered_at for it in found]),
        )
        for package, found in parts.items()
    )


def _any(answers: list[bool | UnsetType]) -> bool | UnsetType:
    return True if True in answers else UNSET if UNSET in answers else False


def _oldest(moments: list[datetime | UnsetType]) -> datetime | UnsetType:
    """Undetermined where one of them is."""
    known = [it for it in moments if isinstance(it, datetime)]
    return min(known) if len(known) == len(moments) else UNSET


def _installed(history: Iterable[Entry]) -> list[InstalledUpdate]:
    """Newest first, by the last word of the history on each update."""
    last: dict[str, Entry] = {}
    for entry in sorted(
        (it for it in history if it.result == _SUCCEEDED and not _is_definition(it)), key=lambda it: it.at
    ):
        last[_package(entry)] = entry
    found = [
        InstalledUpdate(package=package, installed_at=entry.at, security=_security(entry))
        for package, entry in last.items()
        if entry.operation == _INSTALLATION
    ]
    return sorted(found, key=lambda it: it.installed_at, reverse=True)


def _done(entry: Entry) -> bool:
    return entry.operation == _INSTALLATION and entry.result == _SUCCEEDED


def _package(it: Update | Entry) -> str:
    return f"KB{min(it.kbs)}" if it.kbs else it.id


def _is_definition(it: Update | Entry) -> bool:
    return _DEFINITIONS in it.categories or not _DEFINITION_KBS.isdisjoint(it.kbs)


def _security(it: Update | Entry) -> bool | UnsetType:
    """Undetermined where no category is a classification that this agent knows."""
    if not _SECURITY.isdisjoint(it.categories):
        return True
    return UNSET if _OTHER.isdisjoint(it.categories) else False


def automatic(policy: UpdatePolicy, level: int | UnsetType) -> bool | UnsetType:
    """Policy decides; where it leaves the choice, what the Windows Update Agent says of the machine's own setting."""
    if policy.service_disabled:
        return False
    if policy.automatic in (UNSET, "local-choice"):
        return {1: False, 2: False, 3: False, 4: True}.get(level, UNSET) if isinstance(level, int) else UNSET
    return policy.automatic == "scheduled"


def _esu_years(host: Host) -> tuple[int, ...] | UnsetType:
    if build(host) != _LAST_BUILD_OF_10 or is_server(host):
        return UNSET
    found = told(host, "esu", Esu, timeout_s=60.0)
    if found is None or not found.licences:
        return UNSET
    return tuple(sorted(it.year for it in found.licences if it.status == _LICENSED))
