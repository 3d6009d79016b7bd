"""Machine by machine: the number of updates that are due by either, and why the two differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from secmon.evaluate.model import Machine
from secmon.wsus.export import DEFINITIONS, DRIVERS, UNSETTLED, Update, WsusMachine

Reason = Literal[
    "unapproved", "definitions", "driver", "reboot_pending", "wsus_heard_earlier", "secmon_heard_earlier",
    "other_source", "hidden", "wsus_unknown", "unexplained",
]  # fmt: skip
NEWER_BY: Final = timedelta(hours=1)
"""Two moments closer than this are taken for the same."""


class OurMachine(Struct, frozen=True, kw_only=True):
    """What a machine itself said, as far as the comparison goes."""

    name: str
    hostname: str
    pending: Sequence[str] | None
    """Updates that its last search found; None: not known."""
    definitions: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    searched_at: datetime | None = None
    reboot_pending: bool | None = None
    source: str = ""


class Difference(Struct, frozen=True, kw_only=True):
    update: str
    only: Literal["wsus", "secmon"]
    """Who has it as due."""
    reason: Reason


class Compared(Struct, frozen=True, kw_only=True):
    host: str
    """Name in secmon; empty: the WSUS alone knows the machine."""
    wsus_name: str
    """Empty: secmon alone knows it."""
    secmon_count: int | None
    """Without definitions and drivers, which the agent does not count; None: not known."""
    wsus_count: int | None
    reboot_pending: bool | None
    searched_at: datetime | None
    wsus_reported_at: datetime | None
    differences: tuple[Difference, ...] = ()


def our_machine(name: str, machine: Machine) -> OurMachine | None:
    """None for a machine that does not run Windows."""
    facts = {section: state.facts or {} for section, state in machine.sections.items()}
    if facts.get("os", {}).get("family") != "windows":
        return None
    patches = facts.get("patches", {})
    reboot = facts.get("boot", {}).get("reboot_pending")
    searched = patches.get("lists_updated_at")
    return OurMachine(
        name=name,
        hostname=str(facts.get("host", {}).get("hostname", name)).casefold(),
        pending=_packages(patches["pending"]) if "pending" in patches else None,
        definitions=frozenset(_packages(patches.get("definitions_pending"))),
        hidden=frozenset(_texts(patches.get("held"))),
        searched_at=searched if isinstance(searched, datetime) else None,
        reboot_pending=reboot if isinstance(reboot, bool) else None,
        source=str(patches.get("update_source", "")),
    )


def _packages(updates: object) -> list[str]:
    found = updates if isinstance(updates, (list, tuple)) else ()
    return [str(update["package"]) for update in found if isinstance(update, Mapping) and "package" in update]


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, (list, tuple)) else []


def compare(ours: Iterable[OurMachine], theirs: Iterable[WsusMachine]) -> list[Compared]:
    """Every machine that either knows, in the order of names. A name that two machines have is put beside neither."""
    by_name: dict[str, list[WsusMachine]] = {}
    for each in theirs:
        by_name.setdefault(each.hostname, []).append(each)
    found: list[Compared] = []
    mine = list(ours)
    names = Counter(machine.hostname for machine in mine)
    for machine in mine:
        same = by_name.get(machine.hostname, [])
        if len(same) == 1 and names[machine.hostname] == 1:
            found.append(_both(machine, same[0]))
            del by_name[machine.hostname]
        else:
            found.append(_secmon_alone(machine))
    found += [_wsus_alone(each) for those in by_name.values() for each in those]
    return sorted(found, key=lambda each: (each.host or each.wsus_name).casefold())


def _secmon_alone(machine: OurMachine) -> Compared:
    return Compared(
        host=machine.name,
        wsus_name="",
        secmon_count=None if machine.pending is None else len(machine.pending),
        wsus_count=None,
        reboot_pending=machine.reboot_pending,
        searched_at=machine.searched_at,
        wsus_reported_at=None,
    )


def _wsus_alone(machine: WsusMachine) -> Compared:
    return Compared(
        host="",
        wsus_name=machine.name,
        secmon_count=None,
        wsus_count=_count(machine),
        reboot_pending=None,
        searched_at=None,
        wsus_reported_at=machine.reported_at,
    )


def _count(machine: WsusMachine) -> int:
    return sum(update.state in UNSETTLED for update in machine.updates)


def _both(ours: OurMachine, theirs: WsusMachine) -> Compared:
    return Compared(
        host=ours.name,
        wsus_name=theirs.name,
        secmon_count=None if ours.pending is None else len(ours.pending),
        wsus_count=_count(theirs),
        reboot_pending=ours.reboot_pending,
        searched_at=ours.searched_at,
        wsus_reported_at=theirs.reported_at,
        differences=() if ours.pending is None else tuple(_differences(ours, ours.pending, theirs)),
    )


def _differences(ours: OurMachine, pending: Sequence[str], theirs: WsusMachine) -> Iterator[Difference]:
    known = {update.name.casefold(): update for update in theirs.updates}
    mine = {name.casefold() for name in pending}
    for key, update in known.items():
        if update.state in UNSETTLED and key not in mine:
            yield Difference(update=update.name, only="wsus", reason=_why_wsus(update, ours, theirs))
    for name in pending:
        at_wsus = known.get(name.casefold())
        if at_wsus is None or at_wsus.state not in UNSETTLED:
            yield Difference(update=name, only="secmon", reason=_why_secmon(name, at_wsus, ours, theirs))


def _why_wsus(update: Update, ours: OurMachine, theirs: WsusMachine) -> Reason:
    """Why a machine does not name what the WSUS has as due."""
    if update.approval == "NotApproved":
        return "unapproved"
    if update.classification == DEFINITIONS or update.name in ours.definitions:
        return "definitions"
    if update.classification == DRIVERS:
        return "driver"
    if update.state == "InstalledPendingReboot":
        return "reboot_pending"
    return _older(ours.searched_at, theirs.reported_at) or _source(ours)


def _why_secmon(name: str, at_wsus: Update | None, ours: OurMachine, theirs: WsusMachine) -> Reason:
    """Why the WSUS does not have as due what the machine names."""
    if name in ours.hidden:
        return "hidden"
    if at_wsus is not None and at_wsus.state == "Unknown":
        return "wsus_unknown"
    return _older(ours.searched_at, theirs.reported_at) or _source(ours)


def _older(searched_at: datetime | None, reported_at: datetime | None) -> Reason | None:
    """Whose word is older, where it is: what came about in between, only the other can know."""
    if reported_at is None or (searched_at is not None and searched_at - reported_at > NEWER_BY):
        return "wsus_heard_earlier"
    if searched_at is None or reported_at - searched_at > NEWER_BY:
        return "secmon_heard_earlier"
    return None


def _source(ours: OurMachine) -> Reason:
    return "other_source" if ours.source == "internet" else "unexplained"
