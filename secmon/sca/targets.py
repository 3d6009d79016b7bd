"""What SCA rules look at, and the facts that answer it: a table for each kind of place.

A fact is what holds in effect. Where a rule asks whether a line stands in a file, the fact answers whether the setting
that the line makes is in force, which is what the rule is after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

Facts = Mapping[str, object]


class Candidate(Struct, frozen=True, kw_only=True):
    """A value that the fact can have, and the line that the rule would see then."""

    value: bool | int | str
    line: str
    facts: Facts


class Target(Struct, frozen=True, kw_only=True):
    """A thing that can be asked of facts."""

    key: str
    """The same key is the same thing."""
    area: str
    applies: str
    applies_facts: Facts
    candidates: tuple[Candidate, ...] = ()
    express: Callable[[tuple[bool | int | str, ...]], str]
    """A condition that holds for just these of the candidates' values."""
    field: str = ""
    """Of a number: the path of the fact, to be compared with."""
    line: Callable[[int], str] | None = None
    """Of a number: the line that shows it."""
    scale: int = 1
    """Of a number: what one of the rule's is in the fact's unit."""


def at(path: str, value: object) -> Facts:
    """`a.b.c` as nested facts."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value  # type: ignore[return-value]  # a path has a name at least


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


WINDOWS: Final = ('os.family == "windows"', at("os.family", "windows"))
LINUX: Final = ('os.family == "linux"', at("os.family", "linux"))
SSH: Final = ("remote_access.ssh_installed", at("remote_access.ssh_installed", True))


def choice(path: str, lines: Mapping[str, bool | str], area: str, where: tuple[str, Facts]) -> Target:
    """A fact of few values; `lines` says which line shows which. Several lines may show the same."""
    candidates = tuple(Candidate(value=value, line=line, facts=at(path, value)) for line, value in lines.items())

    def express(values: tuple[bool | int | str, ...]) -> str:
        if isinstance(values[0], bool):
            return path if values[0] else f"!{path}"
        shown = [quoted(str(value)) for value in values]
        return f"{path} == {shown[0]}" if len(shown) == 1 else f"{path} in [{', '.join(shown)}]"

    return Target(key=path, area=area, applies=where[0], applies_facts=where[1], candidates=candidates, express=express)


def number(
    path: str, line: Callable[[int], str], area: str, where: tuple[str, Facts], *, scale: int = 1, most: int = 9
) -> Target:
    """A fact that is a number; regexes are asked about 0 to `most`."""
    candidates = tuple(
        Candidate(value=value * scale, line=line(value), facts=at(path, value * scale)) for value in range(most + 1)
    )

    def express(values: tuple[bool | int | str, ...]) -> str:
        return f"{path} == {values[0]}" if len(values) == 1 else f"{path} in [{', '.join(map(str, values))}]"

    return Target(
        key=path, area=area, applies=where[0], applies_facts=where[1], candidates=candidates, express=express,
        field=path, line=line, scale=scale,
    )  # fmt: skip


def listed(
    key: str,
    area: str,
    where: tuple[str, Facts],
    elements: Mapping[str, tuple[str, Facts]],
    condition: Callable[[str], str],
) -> Target:
    """Something in a list of facts: value → its line and facts; `condition` of a value says that it is so."""
    candidates = tuple(Candidate(value=value, line=line, facts=facts) for value, (line, facts) in elements.items())

    def express(values: tuple[bool | int | str, ...]) -> str:
        return " || ".join(condition(str(value)) for value in values)

    return Target(key=key, area=area, applies=where[0], applies_facts=where[1], candidates=candidates, express=express)


def package(name: str, present: str, absent: str) -> Target:
    test = f"software.packages.exists(program, program.name == {quoted(name)})"
    elements = {
        "installed": (present, at("software.packages", [{"name": name}])),
        "none": (absent, at("software.packages", [])),
    }
    return listed(
        f"package {name}", "services", LINUX, elements,
        lambda value: test if value == "installed" else f"!{test}",
    )  # fmt: skip


def service(name: str) -> Target:
    """A Windows service, by what the registry has under `Start`; `none`: there is no such key."""
    starts = {"auto": "2", "manual": "3", "disabled": "4"}
    elements: dict[str, tuple[str, Facts]] = {"none": ("", at("services.services", []))}
    for start, line in starts.items():
        elements[start] = (line, at("services.services", [{"name": name, "start": start}]))
    is_it = f"service.name == {quoted(name)}"

    def condition(value: str) -> str:
        if value == "none":
            return f"!services.services.exists(service, {is_it})"
        return f"services.services.exists(service, {is_it} && service.start == {quoted(value)})"

    return listed(f"service {name.casefold()}", "services", WINDOWS, elements, condition)


def firewall_profile(name: str) -> Target:
    test = f"firewall.profiles.exists(profile, profile.name == {quoted(name)} && profile.enabled)"
    return listed(
        f"firewall {name}", "firewall", WINDOWS,
        {
            "on": ("1", at("firewall.profiles", [{"name": name, "enabled": True}])),
            "off": ("0", at("firewall.profiles", [{"name": name, "enabled": False}])),
        },
        lambda value: test if value == "on" else f"!{test}",
    )  # fmt: skip
