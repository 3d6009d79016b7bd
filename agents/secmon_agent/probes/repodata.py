"""Repository metadata as dnf keeps it on disk: what there is, which packages it offers, and which advisories.

The lists are large (40 MB of XML), so they are cut at their elements as they stream by and never built into a tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from secmon_agent.host import Host, TooLargeError
from secmon_agent.probes.decompress import chunks
from secmon_agent.probes.rpm_version import Key, evr_key, evr_text

MAX_LIST_BYTES: Final = 1 << 30
"""Decompressed."""
_MAX_ELEMENT_BYTES: Final = 32 << 20
_FOLDER: Final = re.compile(r"(?P<id>.+)-[0-9a-f]{16}")
_DATA: Final = re.compile(r'<data\s+type="(\w+)"\s*>(.*?)</data>', re.DOTALL)
_LOCATION: Final = re.compile(r'<location\s[^>]*?href="([^"]+)"')
_NAME: Final = re.compile(rb"<name>([^<]+)</name>")
_ARCHITECTURE: Final = re.compile(rb"<arch>([^<]+)</arch>")
_VERSION: Final = re.compile(rb"<version\s([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb'([a-z]+)="([^"]*)"')
_ADVISED: Final = re.compile(rb"<package\s([^>]*)>")
_COUNT: Final = re.compile(rb'<metadata\s[^>]*\bpackages="(\d+)"')
_SECURITY: Final = re.compile(rb'<update\s[^>]*\btype="security"')


class Metadata(Struct, frozen=True, kw_only=True):
    """One repository's, as last fetched."""

    folder: str
    index: str
    """Text of repomd.xml: it names the checksum of every list, so that nothing changes without it."""
    files: dict[str, str]
    """Path by kind: `primary`, `updateinfo`, `modules`, …"""


class Offer(Struct, frozen=True, array_like=True):
    name: str
    architecture: str
    epoch: int
    version: str
    release: str

    @property
    def evr(self) -> str:
        return evr_text(self.epoch, self.version, self.release)

    @property
    def key(self) -> Key:
        return evr_key(self.epoch, self.version, self.release)


def folders(host: Host, cache: str) -> dict[str, str]:
    """Folder of each repository by its id. A repository whose address changed has several: the newest counts."""
    newest: dict[str, tuple[int, str]] = {}
    for name in host.listdir(cache):
        found = _FOLDER.fullmatch(name)
        stat = host.stat(f"{cache}/{name}/repodata/repomd.xml") if found else None
        if found and stat:
            newest[found["id"]] = max(newest.get(found["id"], (-1, "")), (stat.mtime_ns, f"{cache}/{name}"))
    return {repository: folder for repository, (_, folder) in newest.items()}


def metadata(host: Host, folder: str) -> Metadata:
    text = host.text(index_file(folder))
    files = {}
    for kind, body in _DATA.findall(text):
        location = _LOCATION.search(body)
        if location:
            files[kind] = f"{folder}/repodata/{location[1].rpartition('/')[2]}"
    return Metadata(folder=folder, index=text, files=files)


def index_file(folder: str) -> str:
    return f"{folder}/repodata/repomd.xml"


def offers(host: Host, path: str, wanted: frozenset[bytes]) -> Iterator[Offer]:
    """Packages of a primary list that have a wanted name. ValueError where it does not hold as many as it says."""
    seen, declared = 0, None
    for element in elements(stream(host, path), b"</package>"):
        if declared is None:
            head = _COUNT.search(element)
            declared = int(head[1]) if head else -1
        name = _NAME.search(element)
        if name is None:
            continue
        seen += 1
        if name[1] in wanted:
            yield _offer(name[1], element)
    if seen != (declared or 0):
        raise ValueError("a primary list does not hold as many packages as it says")


def _offer(name: bytes, element: bytes) -> Offer:
    architecture, version = _ARCHITECTURE.search(element), _VERSION.search(element)
    if architecture is None or version is None:
        raise ValueError("a package of a primary list has no architecture or version")
    values = _attributes(version[1])
    return Offer(name.decode(), architecture[1].decode(), int(values["epoch"] or 0), values["ver"], values["rel"])


def security_packages(host: Host, path: str) -> Iterator[Offer]:
    """Packages that the security advisories of an updateinfo list name."""
    for element in elements(stream(host, path), b"</update>"):
        if _SECURITY.search(element):
            for found in _ADVISED.findall(element):
                values = _attributes(found)
                epoch = values.get("epoch", "")
                yield Offer(
                    values["name"], values["arch"], int(epoch) if epoch.isdecimal() else 0, values["version"],
                    values["release"],
                )  # fmt: skip


def stream(host: Host, path: str) -> Iterator[bytes]:
    suffix = re.search(r"(\.(?:gz|xz|zst|bz2|zck))?$", path)
    with host.opened(path) as file:
        try:
            yield from chunks(file, (suffix[1] if suffix else "") or "", MAX_LIST_BYTES)
        except TooLargeError as error:
            raise TooLargeError(f"{path}: {error}") from None


def elements(parts: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """The text up to each `end`, and what follows the last one."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(end)
        yield from whole
        if len(rest) > _MAX_ELEMENT_BYTES:
            raise TooLargeError(f"an element of a list has more than {_MAX_ELEMENT_BYTES} bytes")
    yield rest


def _attributes(text: bytes) -> dict[str, str]:
    return {name.decode(): value.decode("utf-8", "replace") for name, value in _ATTRIBUTE.findall(text)}
