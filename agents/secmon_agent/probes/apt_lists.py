"""The package lists that apt keeps on disk: which archives there are, and what they offer for installed packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from secmon_agent.host import Host, TooLargeError
from secmon_agent.probes.apt_policy import Archive, Offer
from secmon_agent.probes.deb822 import field_reader, package_name, stanzas
from secmon_agent.probes.decompress import chunks

FOLDER: Final = "/var/lib/apt/lists"
MAX_LIST_BYTES: Final = 1 << 30
"""Decompressed; the largest list of a distribution has about 80 MB."""
MAX_RELEASE_BYTES: Final = 4 << 20
_LIST: Final = r"(?P<base>.+)_Packages(?P<suffix>\.[a-z0-9]+)?"
_RELEASE: Final = r"(?P<base>.+_)(In)?Release"
_RELEASE_HEAD: Final = r"^([A-Za-z-]+): *(.*)$"

_fields = field_reader("Package", "Version", "Architecture", "Phased-Update-Percentage")


def list_files(host: Host) -> list[str]:
    """Names of the package lists, one per index even where an old form of it was left behind."""
    return host.once("apt.lists", lambda: _list_files(host))


def _list_files(host: Host) -> list[str]:
    newest: dict[str, tuple[int, str]] = {}
    for name in host.listdir(FOLDER):
        found = re.fullmatch(_LIST, name)
        if not found:
            continue
        stat = host.stat(f"{FOLDER}/{name}")
        if stat is not None and stat.size > 0:
            newest[found["base"]] = max(newest.get(found["base"], (-1, "")), (stat.mtime_ns, name))
    return sorted(name for _, name in newest.values())


def release_files(host: Host) -> list[str]:
    return host.once("apt.releases", lambda: [name for name in host.listdir(FOLDER) if re.fullmatch(_RELEASE, name)])


def archives(host: Host) -> list[Archive]:
    """One per package list, in the order of `list_files`."""
    heads = {name: _release_head(host, name) for name in release_files(host)}
    return [_archive(name, heads) for name in list_files(host)]


def is_security(archive: Archive) -> bool:
    """Debian: label "Debian-Security"; Ubuntu and its ESM: a suite that ends in "-security"."""
    texts = (archive.label.lower(), archive.suite.lower(), archive.codename.lower())
    return any(text.endswith("-security") for text in texts)


def offers(
    host: Host, found: list[Archive], architectures: Mapping[str, set[str]], native: str
) -> dict[str, list[Offer]]:
    """What the archives offer for the installed packages, by `name:architecture`. `all` counts as the native
    architecture."""
    wanted = {name.encode() for name in architectures}
    by_package: dict[str, list[Offer]] = {}
    for index, archive in enumerate(found):
        for stanza in _stanzas(host, archive.file):
            if package_name(stanza) in wanted:
                _note(by_package, _fields(stanza), index, native)
    return by_package


def _note(by_package: dict[str, list[Offer]], fields: Mapping[str, str], index: int, native: str) -> None:
    if "version" not in fields or "architecture" not in fields:
        return
    architecture = native if fields["architecture"] == "all" else fields["architecture"]
    phased = fields.get("phased-update-percentage", "")
    offer = Offer(version=fields["version"], archive=index, phased_percent=int(phased) if phased.isdecimal() else 100)
    by_package.setdefault(f"{fields['package']}:{architecture}", []).append(offer)


def _stanzas(host: Host, name: str) -> Iterator[bytes]:
    found = re.fullmatch(_LIST, name)
    suffix = (found["suffix"] or "") if found else ""
    with host.opened(f"{FOLDER}/{name}") as file:
        try:
            yield from stanzas(chunks(file, suffix, MAX_LIST_BYTES))
        except TooLargeError as error:
            raise TooLargeError(f"{name}: {error}") from None


def _release_head(host: Host, name: str) -> dict[str, str]:
    text = host.text(f"{FOLDER}/{name}", MAX_RELEASE_BYTES)
    head = re.split(r"^(?:MD5Sum|SHA1|SHA256|SHA512):", text, maxsplit=1, flags=re.MULTILINE)[0]
    return {key.lower(): value.strip() for key, value in re.findall(_RELEASE_HEAD, head, re.MULTILINE)}


def _archive(name: str, heads: Mapping[str, Mapping[str, str]]) -> Archive:
    bases = [release for release in heads if name.startswith(release.rpartition("_")[0] + "_")]
    head = heads[max(bases, key=len)] if bases else {}
    index = re.search(r"_([^_]+)_binary-([^_]+)_Packages", name)
    return Archive(
        file=name,
        site=re.sub(r"^[^@]*@|:\d+$", "", name.partition("_")[0]),
        suite=head.get("suite", ""),
        codename=head.get("codename", ""),
        origin=head.get("origin", ""),
        label=head.get("label", ""),
        version=head.get("version", ""),
        component=index[1] if index else "",
        architecture=index[2] if index else "",
        not_automatic=head.get("notautomatic", "").lower() == "yes",
        but_automatic_upgrades=head.get("butautomaticupgrades", "").lower() == "yes",
    )
