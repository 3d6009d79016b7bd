"""Modules (application streams): of several versions of a program only those of the active stream are offered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from secmon_agent.host import Host
from secmon_agent.probes.repodata import Offer, elements, stream
from secmon_agent.probes.settings_files import ini

CHOSEN: Final = "/etc/dnf/modules.d"
DEFAULTS: Final = "/etc/dnf/modules.defaults.d"
_KIND: Final = re.compile(rb"^document: *(\S+)", re.MULTILINE)
_FIELD: Final = re.compile(rb"^  (name|module|stream): *[\"']?([^\"'\n]+?)[\"']? *$", re.MULTILINE)
_ARTIFACTS: Final = re.compile(rb"^  artifacts:\n    rpms:\n((?:    +- .*\n?)+)", re.MULTILINE)


class Stream(Struct, frozen=True, array_like=True):
    module: str
    stream: str
    packages: frozenset[str]
    """As `name-epoch:version-release.architecture`."""


class Modules(Struct, frozen=True, kw_only=True):
    """What modules say about packages."""

    hidden: frozenset[str] = frozenset()
    """Packages of streams that are not active."""
    active: frozenset[str] = frozenset()
    """Packages of those that are."""
    names: frozenset[str] = frozenset()
    """Names of packages that come from an active stream alone."""

    def allow(self, offer: Offer, beside_modules: bool) -> bool:
        text = f"{offer.name}-{offer.epoch}:{offer.version}-{offer.release}.{offer.architecture}"
        if text in self.active:
            return True
        return text not in self.hidden and (beside_modules or offer.name not in self.names)


def settings_files(host: Host) -> list[str]:
    return [
        f"{folder}/{name}"
        for folder, suffix in ((CHOSEN, ".module"), (DEFAULTS, ".yaml"))
        for name in host.listdir(folder)
        if name.endswith(suffix)
    ]


def modules(host: Host, paths: Iterable[str]) -> Modules:
    """`paths` are the module lists of the repositories."""
    streams: list[Stream] = []
    defaults: dict[str, str] = {}
    own = [name for name in settings_files(host) if name.startswith(DEFAULTS)]
    for path in (*paths, *own):
        for document in elements(stream(host, path), b"\n---\n"):
            _note(document, streams, defaults)
    chosen = defaults | _chosen(host)
    active = [it for it in streams if chosen.get(it.module) == it.stream]
    shown = frozenset(package for it in active for package in it.packages)
    return Modules(
        hidden=frozenset(package for it in streams for package in it.packages) - shown,
        active=shown,
        names=frozenset(package.rsplit("-", 2)[0] for package in shown if not package.endswith(".src")),
    )


def _chosen(host: Host) -> dict[str, str]:
    """Stream of each module that somebody enabled; empty for one that is disabled."""
    found: dict[str, str] = {}
    for name in settings_files(host):
        if name.startswith(CHOSEN):
            for module, values in ini(host.text(name)).items():
                found |= _state(module, values)
    return found


def _state(module: str, values: Mapping[str, str]) -> dict[str, str]:
    state = values.get("state", "")
    if state == "enabled":
        return {module: values.get("stream", "")}
    return {module: ""} if state == "disabled" else {}


def _note(document: bytes, streams: list[Stream], defaults: dict[str, str]) -> None:
    kind = _KIND.search(document)
    if kind is None or kind[1] not in (b"modulemd", b"modulemd-defaults"):
        return
    fields = {name.decode(): value.decode() for name, value in reversed(_FIELD.findall(document))}
    if kind[1] == b"modulemd-defaults":
        if "module" in fields and "stream" in fields:
            defaults[fields["module"]] = fields["stream"]
        return
    if "name" not in fields or "stream" not in fields:
        raise ValueError("a module has no name or stream")
    artifacts = _ARTIFACTS.search(document)
    packages = re.findall(rb"- *[\"']?([^\s\"']+)", artifacts[1]) if artifacts else []
    streams.append(Stream(fields["name"], fields["stream"], frozenset(package.decode() for package in packages)))
