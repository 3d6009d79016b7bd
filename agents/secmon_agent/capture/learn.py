"""What on the tape is personal or belongs to this site alone, found where it stands by itself; `redact.py` then
replaces it wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from secmon_agent.capture.tape import Tape
from secmon_agent.probes.placeholders import meaningful
from secmon_agent.registry import text

Kind = Literal["person", "host", "domain", "serial", "wireless"]

_FIRST_PERSON: Final = 1000
_NOBODY: Final = 65534
_WORDS: Final = frozenset(
    (
        *("admin", "administrator", "backup", "build", "cloud", "console", "container", "data", "debian", "default"),
        *("desktop", "docker", "domain", "ec2-user", "etc", "fedora", "games", "group", "guest", "home", "host"),
        *("internal", "intra", "laptop", "lan", "linux", "local", "localdomain", "localhost", "login", "machine"),
        *("mail", "main", "name", "net", "network", "node", "nobody", "none", "office", "operator", "oracle", "pc"),
        *("person", "public", "redhat", "rocky", "root", "server", "service", "site", "software", "ssh", "staff"),
        *("sudo", "sys", "system", "test", "ubuntu", "user", "users", "vagrant", "var", "virtual", "vm", "web"),
        *("wheel", "windows", "work", "workgroup", "workstation", "microsoft"),
    )
)
"""Names that say nothing of anybody; to replace such a word everywhere would change what the files mean."""
_SERIALS: Final = re.compile(
    r"/sys/(class/dmi/id|devices/virtual/dmi/id)/(\w*serial|product_uuid|\w*asset_tag)|/sys/.*/serial|/etc/machine-id"
    r"|/var/lib/dbus/machine-id|/run/machine-id"
)
_SERIAL_ANSWER: Final = re.compile(rb'"serial":\s*"([^"\\]+)"')
_DEVICE: Final = re.compile(r"(?i)\\Enum\\(?:USBSTOR|USB|UASPSTOR|SCSI|STORAGE|SWD\\WPDBUSENUM)\\[^\\]+\\([^\\]+)")
"""The last part of such a key is the device's serial number."""
_HOST_VALUES: Final = ("Hostname", "NV Hostname", "ComputerName")
_DOMAIN_VALUES: Final = ("Domain", "NV Domain", "DhcpDomain", "ICSDomain", "SearchList", "CachePrimaryDomain")
_WIRELESS_VALUES: Final = ("ProfileName", "SSID", "FirstNetwork")
_SSID: Final = re.compile(
    r"""(?im)(?<![a-z])ssid["']?[ \t]*[=:][ \t]*(?:"([^"\n]{1,64})"|'([^'\n]{1,64})'|([^\s"',;]{1,64}))"""
)
_CONNECTION: Final = re.compile(r"/etc/NetworkManager/system-connections/(.+?)(?:\.nmconnection)?")
_HOME: Final = re.compile(r"/home/([^/\s:\"'*,;\\]{1,64})|[A-Za-z]:\\+Users\\+([^\\\"'<>|:*?/\n\r\0]{1,64})")
_SHARED_HOMES: Final = frozenset(("public", "default", "all users", "default user", "lost+found", "defaultapppool"))


_SHAPES: Final[dict[Kind, str]] = {
    "person": "person{}",
    "host": "host{}",
    "domain": "example{}.jp",
    "serial": "SERIAL{}",
    "wireless": "net{}",
}


class Secret(NamedTuple):
    kind: Kind
    text: str
    replacement: str


class Own(NamedTuple):
    """What this process knows of its machine beside what the probes read."""

    persons: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    serials: tuple[str, ...] = ()


def learn(tape: Tape, own: Own = Own()) -> list[Secret]:  # noqa: B008 - a tuple of empty tuples
    """The longest first. A name that is a common word is none."""
    hosts, domains = _names_of_machine(tape, own)
    found: list[tuple[Kind, str]] = [("person", name) for name in (*own.persons, *_persons(tape))]
    found += [("host", name) for name in hosts]
    found += [("domain", name) for name in domains]
    found += [("serial", name) for name in (*own.serials, *_serials(tape)) if meaningful(name) is not UNSET]
    found += [("wireless", name) for name in _wireless(tape)]
    return sorted(_numbered(found), key=lambda it: -len(it.text))


def _numbered(found: Iterable[tuple[Kind, str]]) -> Iterator[Secret]:
    known: dict[str, Kind] = {}
    numbers: dict[Kind, int] = {}
    for kind, name in found:
        key = name.strip().casefold()
        if len(key) < 2 or key in known or not says_something(key, kind):
            continue
        known[key] = kind
        numbers[kind] = numbers.get(kind, 0) + 1
        yield Secret(kind, name.strip(), _SHAPES[kind].format(numbers[kind]))


def says_something(key: str, kind: Kind) -> bool:
    """Whether a name (lower case) tells whose or where; `person3` and its like are this module's own."""
    own = re.fullmatch(r"(person|host|serial|net)\d+|(.+\.)?example\d*\.(jp|com|org|lg\.jp)", key)
    return not own and key not in _WORDS and not (kind != "serial" and key.isdecimal())


def texts(tape: Tape) -> Iterator[str]:
    """All that is on the tape, as text where it can be."""
    for data in (*tape.contents.values(), *tape.answers.values(), *(it.result.stdout for it in tape.commands)):
        if len(data) < (4 << 20):
            yield data.decode("utf-8", "replace")
    for values in tape.keys.values():
        for value in (values or {}).values():
            yield from [value] if isinstance(value, str) else value if isinstance(value, list) else []
    yield from tape.links.values()
    yield from tape.contents
    yield msgspec.json.encode(tape.system).decode()


def _persons(tape: Tape) -> Iterator[str]:
    """Login names, and the full names that are certainly somebody's."""
    for line in _lines(tape, "/etc/passwd"):
        row = line.split(":")
        if len(row) == 7 and row[2].isdecimal() and _FIRST_PERSON <= int(row[2]) != _NOBODY:
            yield row[0]
            full = row[4].split(",")[0].strip()
            if " " in full or not full.isascii():
                yield full
    for content in texts(tape):
        for found in _HOME.finditer(content):
            name = found[1] or found[2]
            if name.strip().casefold() not in _SHARED_HOMES:
                yield name
    yield from tape.listed.get("/home", [])


def _names_of_machine(tape: Tape, own: Own) -> tuple[list[str], list[str]]:
    full = [*own.hosts, *_lines(tape, "/proc/sys/kernel/hostname"), *_lines(tape, "/etc/hostname")]
    full += [str(name) for name in (tape.system.get("hostname"),) if name]
    full += _values(tape, _HOST_VALUES)
    domains = [*own.domains, *_values(tape, _DOMAIN_VALUES)]
    domains += [name.strip().partition(".")[2] for name in full]
    hosts = [name.strip().partition(".")[0] for name in full]
    for line in _lines(tape, "/etc/hosts"):
        words = line.split("#")[0].split()[1:]
        if any(word.partition(".")[0].lower() in map(str.lower, hosts) for word in words):
            domains += [word.partition(".")[2] for word in words]
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"):
        for line in _lines(tape, path):
            if line.startswith(("search ", "domain ")):
                domains += line.split()[1:]
    single = [name.strip(".") for text in domains for name in re.split(r"[\s,;]+", text)]
    return hosts, [name for name in single if "." in name or len(name) > 3]


def _serials(tape: Tape) -> Iterator[str]:
    for path, data in tape.contents.items():
        if _SERIALS.fullmatch(path):
            yield data.decode("utf-8", "replace").strip("\0\n ")
    yield from (found.decode("utf-8", "replace") for found in _SERIAL_ANSWER.findall(tape.answers.get("smbios", b"")))
    for key, values in tape.keys.items():
        yield from (str(value) for name, value in (values or {}).items() if "serial" in name.lower() and value)
        instance = _DEVICE.search(key)
        if instance:
            yield _serial_of_device(instance[1])


def _serial_of_device(instance: str) -> str:
    """Of `7&1a2b3c4d&0`, which Windows made up for want of a serial, the middle: what is left still shows that."""
    made_up = re.fullmatch(r"[^&]&([0-9A-Fa-f]{6,})&.*", instance)
    return made_up[1] if made_up else re.sub(r"&\d+$", "", instance)


def _wireless(tape: Tape) -> Iterator[str]:
    for content in texts(tape):
        for found in _SSID.finditer(content):
            yield found[1] or found[2] or found[3]
        connection = _CONNECTION.fullmatch(content)
        if connection:
            yield connection[1]
    for name in tape.listed.get("/etc/NetworkManager/system-connections", []):
        yield name.removesuffix(".nmconnection")
    yield from _values(tape, _WIRELESS_VALUES)


def _values(tape: Tape, names: Iterable[str]) -> list[str]:
    return [found for values in tape.keys.values() for name in names if values and (found := text(values, name))]


def _lines(tape: Tape, path: str) -> list[str]:
    return tape.contents.get(path, b"").decode("utf-8", "replace").splitlines()
