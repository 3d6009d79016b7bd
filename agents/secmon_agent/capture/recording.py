"""From a tape to the files of a recording: redacted, cut down to what probes look for, and bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Final

import msgspec
from msgspec import Struct

from secmon_agent.capture import tables
from secmon_agent.capture.redact import Redactor
from secmon_agent.capture.tape import Tape
from secmon_agent.files import Owner, owner_of
from secmon_agent.host import Host
from secmon_agent.probes.decompress import chunks
from secmon_agent.recorded import Command, Manifest
from secmon_agent.registry import Value, Written
from secmon_agent.system import Recording

MAX_FILE_BYTES: Final = 4 << 20
MAX_TOTAL_BYTES: Final = 24 << 20
_MAX_LIST_BYTES: Final = 1 << 30

_STATUS: Final = "/var/lib/dpkg/status"
_PACKAGE_LIST: Final = re.compile(r"(/var/lib/apt/lists/.+_Packages)(\.\w+)?")
_RELEASE: Final = re.compile(r"/var/lib/apt/lists/.+_(In)?Release")
_KERNEL_NET: Final = re.compile(r"/proc/(?:\d+/)?net/(\w+)")
_HELD: Final = re.compile(r"/proc/\d+/fd(/.*)?")
_VERSIONS: Final = re.compile(
    r"/var/lib/(dpkg|apt/lists|apt/extended_states|dnf|rpm)\b.*|/var/log/(apt|dpkg|dnf).*|/(etc|usr/lib)/os-release"
    r"|/etc/\w+[_-](version|release)|/proc/version|.*/(rpm|dpkg-query|dnf|yum|apt-cache)"
)
"""Files and programs whose numbers with three dots are versions."""


class Made(Struct, frozen=True, kw_only=True):
    """A recording that has not been written yet."""

    files: dict[str, bytes]
    """By name below the recording's folder."""
    kept_back: dict[str, str]
    """Why, by name on the machine: its content is not in the recording."""
    counts: dict[str, int]
    """How often something was replaced, by kind."""
    keys: int
    """Registry keys."""


def make(tape: Tape, redactor: Redactor, host: Host, about: str) -> Made:
    contents, kept_back = _contents(tape, redactor)
    files = {f"root{redactor.path(path)}": data for path, data in contents.items()}
    commands, outputs = _commands(tape, redactor)
    answers = {question: f"answers/{question}.json" for question in tape.answers}
    for question, raw in tape.answers.items():
        files[answers[question]] = _json_redacted(raw, redactor)
    registry = {redactor.path(key): _key(values, redactor) for key, values in tape.keys.items()}
    if registry:
        files["registry.json"] = _pretty(registry)
    manifest = msgspec.structs.replace(
        _named(tape, redactor, host, contents),
        about=about,
        privileged=host.privileged,
        commands=commands,
        system=_system(tape, redactor),
        answers=answers,
        registry=("registry.json",) if registry else (),
        **_about_keys(tape, redactor),
    )
    files |= outputs | {"host.json": _pretty(_without_empty(manifest))}
    return Made(files=files, kept_back=kept_back, counts=dict(redactor.counts), keys=len(registry))


def _contents(tape: Tape, redactor: Redactor) -> tuple[dict[str, bytes], dict[str, str]]:
    """By the name that they have in the recording, before redaction; the small ones first where not all find room."""
    found: dict[str, bytes] = {path: b"" for path, it in tape.stats.items() if it.size == 0 and not it.is_dir}
    kept_back = dict.fromkeys(tape.too_large, f"over {MAX_FILE_BYTES} bytes")
    installed = tables.installed_names(tape.contents.get(_STATUS, b""))
    for path, raw in tape.contents.items():
        name, data = _cut_down(path, raw, installed)
        data = content(name, data, redactor)
        if len(data) > MAX_FILE_BYTES:
            kept_back[path] = f"over {MAX_FILE_BYTES} bytes"
        elif (secret := redactor.left(_opened(name, data))) is not None:
            kept_back[path] = f"names the {secret.kind}"
        else:
            found[name] = data
    room, fitting = MAX_TOTAL_BYTES, dict[str, bytes]()
    for path in sorted(found, key=lambda path: len(found[path])):
        room -= len(found[path])
        if room >= 0:
            fitting[path] = found[path]
        else:
            kept_back[path] = f"the recording is over {MAX_TOTAL_BYTES} bytes"
    return fitting, kept_back


def _cut_down(path: str, data: bytes, installed: frozenset[bytes]) -> tuple[str, bytes]:
    """Name and content without what no probe looks for."""
    listed = _PACKAGE_LIST.fullmatch(path)
    if listed:
        try:
            return listed[1], tables.package_list(chunks(BytesIO(data), listed[2] or "", _MAX_LIST_BYTES), installed)
        except Exception:  # noqa: BLE001 - a damaged list stays as it is: that is what the probe says of it, too
            return path, data
    if _RELEASE.fullmatch(path):
        return path, tables.release(data)
    if path == _STATUS:
        return path, tables.dpkg_status(data)
    if re.fullmatch(r"/proc/\d+/environ", path):
        return path, tables.environment(data)
    return path, data


def content(path: str, data: bytes, redactor: Redactor) -> bytes:
    """Redacted, in the shape that it was in."""
    if path.endswith((".gz", ".xz")):
        try:
            return _packed(path, content(path[:-3], _opened(path, data), redactor))
        except (OSError, EOFError, ValueError):
            return b""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return redactor.text(data.decode("utf-16", "replace")).encode("utf-16")
    if b"\0" in data.rstrip(b"\0\n"):
        return redactor.binary(data)
    text = data.decode("utf-8", "surrogateescape")
    if path in tables.TEXTS:
        text = tables.TEXTS[path](text, redactor.login)
        redactor.counts["password"] += text.count("redacted")
    kernel = _KERNEL_NET.fullmatch(path)
    if kernel and kernel[1] in tables.KERNEL:
        text = tables.KERNEL[kernel[1]](text, redactor.addresses)
    new = redactor.text(text, addresses=not _VERSIONS.fullmatch(path) and not kernel)
    return redactor.binary(new.encode("utf-8", "surrogateescape"))


def _opened(path: str, data: bytes) -> bytes:
    """Without its compression, as far as that goes."""
    import gzip
    import lzma

    try:
        return (
            gzip.decompress(data) if path.endswith(".gz") else lzma.decompress(data) if path.endswith(".xz") else data
        )
    except (OSError, EOFError, lzma.LZMAError):
        return data


def _packed(path: str, data: bytes) -> bytes:
    import gzip
    import lzma

    return gzip.compress(data, mtime=0) if path.endswith(".gz") else lzma.compress(data)


def _named(tape: Tape, redactor: Redactor, host: Host, contents: Mapping[str, bytes]) -> Manifest:
    """What a checkout cannot keep: links, times, empty folders, rights, and names whose content is not here."""
    untouched = _untouched(tape, contents)
    links = _links(tape, host, contents, untouched)
    there = {path for path, it in tape.stats.items() if not it.is_dir} | set(tape.contents) | tape.too_large
    folders = {path for path, it in tape.stats.items() if it.is_dir} | set(tape.listed)
    folders |= {path for path in untouched if path not in links and _is_dir(host, path)}
    unread = {_plain(path) for path in (untouched | there) - folders - links.keys()} - contents.keys()
    denied = {path for path in tape.denied - there if not _HELD.fullmatch(path)}
    folders = {path for path in folders - denied if path != "/" and not _HELD.fullmatch(path)}
    return Manifest(
        about="",
        family=host.family,
        now=host.now(),
        mtime=host.now(),
        mtimes={redactor.path(_plain(path)): _moment(it.mtime_ns) for path, it in tape.stats.items()},
        links={redactor.path(path): redactor.path(target) for path, target in links.items()},
        folders=tuple(sorted(map(redactor.path, folders))),
        denied=tuple(sorted(map(redactor.path, denied))),
        unread=tuple(sorted(map(redactor.path, unread - denied))),
        owners=_owners(tape, redactor),
    )


def _owners(tape: Tape, redactor: Redactor) -> dict[str, Owner] | None:
    """None where the system does not tell owners and rights, as a recording without them."""
    if not any(it.mode for it in tape.stats.values()):
        return None
    return {redactor.path(_plain(path)): owner for path, it in tape.stats.items() if (owner := owner_of(it))}


def _untouched(tape: Tape, contents: Mapping[str, bytes]) -> set[str]:
    """Names that a probe saw in a folder and did not follow. What the kernel shows in /proc anyway is not among
    them."""
    folders = [folder for folder in tape.listed if folder != "/proc" and not _HELD.fullmatch(folder)]
    paths = {f"{folder.rstrip('/')}/{name}" for folder in folders for name in tape.listed[folder]}
    return paths - tape.links.keys() - contents.keys() - tape.stats.keys() - tape.listed.keys()


def _links(tape: Tape, host: Host, contents: Mapping[str, bytes], untouched: set[str]) -> dict[str, str]:
    """Of what processes hold only the sockets that wait."""
    sockets = _waiting(contents)
    links = {path: target for path, target in tape.links.items() if not _HELD.fullmatch(path) or target in sockets}
    for path in untouched:
        with suppress(OSError):
            links[path] = host.files.readlink(path)
    return links


def _about_keys(tape: Tape, redactor: Redactor) -> dict[str, object]:
    """What a manifest has room for, such as times."""
    known = [name for name in tape.about_keys if name in Manifest.__struct_fields__]
    return {name: {redactor.path(key): it for key, it in tape.about_keys[name].items()} for name in known}


def _plain(path: str) -> str:
    """A package list loses its compression."""
    listed = _PACKAGE_LIST.fullmatch(path)
    return listed[1] if listed else path


def _is_dir(host: Host, path: str) -> bool:
    try:
        return host.files.stat(path).is_dir
    except OSError:
        return False


def _moment(mtime_ns: int) -> datetime:
    return datetime.fromtimestamp(max(0, mtime_ns) // 10**9, UTC)


def _waiting(contents: Mapping[str, bytes]) -> set[str]:
    """Targets of the links to sockets that the recorded tables of the kernel name."""
    rows = [
        line.split()
        for path, data in contents.items()
        if (kernel := _KERNEL_NET.fullmatch(path)) and kernel[1] in tables.KERNEL
        for line in data.decode("ascii", "replace").splitlines()
    ]
    return {f"socket:[{row[9]}]" for row in rows if len(row) >= 10}


def _commands(tape: Tape, redactor: Redactor) -> tuple[tuple[Command, ...], dict[str, bytes]]:
    commands, outputs = [], {}
    for number, (argv, result) in enumerate(tape.commands, 1):
        name = f"commands/{number:03d}.txt"
        outputs[name] = content(argv[0], result.stdout, redactor)
        commands.append(
            Command(argv=tuple(redactor.path(word) for word in argv), stdout=name, exit_code=result.exit_code)
        )
    return tuple(commands), outputs


def _system(tape: Tape, redactor: Redactor) -> Recording:
    return msgspec.convert(walked(msgspec.to_builtins(tape.system), redactor), Recording)


def _key(values: Mapping[str, Value] | None, redactor: Redactor) -> dict[str, Written] | None:
    if values is None:
        return None
    return {redactor.path(name): _written(name, value, redactor) for name, value in values.items()}


def _written(name: str, value: Value, redactor: Redactor) -> Written:
    if isinstance(value, bytes):
        settings = tables.connection(value, redactor.text) if name.lower() in tables.CONNECTIONS else value
        return {"hex": redactor.binary(settings).hex()}
    if isinstance(value, list):
        return [redactor.value(name, text) for text in value]
    return redactor.value(name, value) if isinstance(value, str) else value


def walked(value: object, redactor: Redactor, name: str = "") -> object:
    """A JSON value with every text redacted."""
    if isinstance(value, str):
        return redactor.member(name, value)
    if isinstance(value, Mapping):
        return {redactor.path(str(key)): walked(it, redactor, str(key)) for key, it in value.items()}
    return [walked(it, redactor, name) for it in value] if isinstance(value, (list, tuple)) else value


def _json_redacted(raw: bytes, redactor: Redactor) -> bytes:
    try:
        return _pretty(walked(msgspec.json.decode(raw), redactor))
    except msgspec.DecodeError:
        return content("", raw, redactor)


def _without_empty(manifest: Manifest) -> object:
    plain: dict[str, object] = msgspec.to_builtins(manifest)
    return {name: value for name, value in plain.items() if value not in ((), [], {})}


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"
