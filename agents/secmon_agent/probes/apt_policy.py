"""Which version apt would choose: apt_preferences(5), without what this version cannot interpret."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from secmon_agent.host import Host
from secmon_agent.probes.deb_version import version_key

_FOLDER: Final = "/etc/apt/preferences.d"
_INSTALLED_PRIORITY: Final = 100
_DOWNGRADE_PRIORITY: Final = 1000
_RELEASE_FIELDS: Final = {
    "a": "suite",
    "n": "codename",
    "o": "origin",
    "l": "label",
    "v": "version",
    "c": "component",
    "b": "architecture",
}


class UninterpretablePinError(ValueError):
    """A pin that this version does not understand: what apt would choose cannot be told."""


class Archive(Struct, frozen=True, kw_only=True):
    """One package list and what its Release file says."""

    file: str
    site: str
    suite: str = ""
    codename: str = ""
    origin: str = ""
    label: str = ""
    version: str = ""
    component: str = ""
    architecture: str = ""
    not_automatic: bool = False
    but_automatic_upgrades: bool = False


class Pin(Struct, frozen=True, kw_only=True):
    packages: tuple[str, ...]
    """Names or globs; `*` alone is the general form."""
    kind: str
    """`release`, `origin` or `version`."""
    wanted: tuple[tuple[str, str], ...]
    priority: int


class Offer(Struct, frozen=True, kw_only=True):
    """A version of a package in an archive."""

    version: str
    archive: int
    """Index of the archive."""
    phased_percent: int = 100


def preference_files(host: Host) -> list[str]:
    names = [name for name in host.listdir(_FOLDER) if re.fullmatch(r"[A-Za-z0-9_-]+(\.pref)?", name)]
    return ["/etc/apt/preferences"] * host.exists("/etc/apt/preferences") + [f"{_FOLDER}/{name}" for name in names]


def read_pins(host: Host) -> list[Pin]:
    """In apt's order. Raises UninterpretablePinError."""
    return [pin for name in preference_files(host) for pin in parse_pins(host.text(name))]


def parse_pins(text: str) -> list[Pin]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = (re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE) for stanza in re.split(r"\n\s*\n", lines))
    return [_pin({name.lower(): value.strip() for name, value in fields}) for fields in found if fields]


def _pin(fields: Mapping[str, str]) -> Pin:
    packages = tuple(fields.get("package", "").split())
    kind, _, rest = fields.get("pin", "").partition(" ")
    if not packages or any(re.match(r"/|src:|\?|~", name) for name in packages):
        raise UninterpretablePinError(f"Package: {fields.get('package', '')}")
    try:
        priority = int(fields.get("pin-priority", ""))
    except ValueError:
        raise UninterpretablePinError("Pin-Priority") from None
    return Pin(packages=packages, kind=kind.lower(), wanted=_wanted(kind.lower(), rest.strip()), priority=priority)


def _wanted(kind: str, rest: str) -> tuple[tuple[str, str], ...]:
    if "/" in rest and kind != "origin":
        raise UninterpretablePinError(f"Pin: {kind} {rest}")
    if kind == "origin":
        return (("site", rest.strip('"')),)
    if kind == "version" and rest:
        return (("version", rest),)
    if kind != "release" or not rest:
        raise UninterpretablePinError(f"Pin: {kind} {rest}")
    if "=" not in rest:
        return (("any", rest),)
    pairs = [part.strip().partition("=") for part in rest.split(",")]
    if any(name not in _RELEASE_FIELDS for name, _, _ in pairs):
        raise UninterpretablePinError(f"Pin: release {rest}")
    return tuple((_RELEASE_FIELDS[name], value.strip('"')) for name, _, value in pairs)


def archive_priorities(archives: Sequence[Archive], pins: Sequence[Pin], default_release: str) -> list[int]:
    """What each archive's versions are worth, unless a pin names the package."""
    return [_archive_priority(archive, pins, default_release) for archive in archives]


def _archive_priority(archive: Archive, pins: Sequence[Pin], default_release: str) -> int:
    for pin in pins:
        if pin.packages == ("*",) and pin.kind != "version" and _matches(pin, archive, ""):
            return pin.priority
    if default_release and default_release in (archive.suite, archive.codename, archive.version):
        return 990
    if archive.not_automatic:
        return 100 if archive.but_automatic_upgrades else 1
    return 500


def _matches_version(pin: Pin, version: str) -> bool:
    return all(fnmatch.fnmatchcase(version, value) for _, value in pin.wanted)


def _matches(pin: Pin, archive: Archive, version: str) -> bool:
    if pin.kind == "version":
        return _matches_version(pin, version)
    for name, value in pin.wanted:
        if name == "any":
            if value not in (archive.suite, archive.codename) and not fnmatch.fnmatchcase(archive.version, value):
                return False
            continue
        if not fnmatch.fnmatchcase(getattr(archive, name), value):
            return False
    return True


def candidate(
    name: str,
    installed: str,
    offers: Sequence[Offer],
    archives: Sequence[Archive],
    priorities: Sequence[int],
    pins: Sequence[Pin],
) -> Offer | None:
    """The offer that apt would choose to install over `installed`, or None where it would leave things as they are."""
    chosen: Offer | None = None
    best = 0
    here = version_key(installed)
    specific = [pin for pin in pins if pin.packages != ("*",) and _names(pin, name)]
    own = next((pin.priority for pin in specific if pin.kind == "version" and _matches_version(pin, installed)), None)
    ranked: dict[str, tuple[Offer | None, int]] = {installed: (None, _INSTALLED_PRIORITY if own is None else own)}
    for offer in offers:
        worth = _worth(offer, archives, priorities, specific)
        known = ranked.get(offer.version)
        if known is None or worth > known[1]:
            ranked[offer.version] = (None if offer.version == installed else offer, worth)
    for version in sorted(ranked, key=version_key, reverse=True):
        found, worth = ranked[version]
        older = version_key(version) < here
        if worth <= best or (older and worth < _DOWNGRADE_PRIORITY):
            continue
        chosen, best = found, worth
    return chosen if chosen is not None and version_key(chosen.version) > here else None


def _worth(offer: Offer, archives: Sequence[Archive], priorities: Sequence[int], specific: Sequence[Pin]) -> int:
    for pin in specific:
        if _matches(pin, archives[offer.archive], offer.version):
            return pin.priority
    return priorities[offer.archive]


def _names(pin: Pin, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern.partition(":")[0]) for pattern in pin.packages)
