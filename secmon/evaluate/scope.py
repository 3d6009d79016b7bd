"""What a condition sees: the names it may use, with their kinds, and the values they have while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from secmon.evaluate.functions import Surroundings, UndeterminedError
from secmon.evaluate.kinds import NAMES, STRING, TIMESTAMP, Kind, section_kinds

NOT_FACTS: Final = frozenset({"now", "limits", "lists", "attributes"})
_TEXTS: Final = Kind(name="list", element=STRING)


class SectionGoneError(UndeterminedError):
    """A section that is not there was read."""

    def __init__(self, section: str) -> None:
        super().__init__(f"{section} is not there")
        self.section = section


MAX_STEPS: Final = 2_000_000
"""Elements of lists that the conditions of one check may look at for one machine. What `secmon rules check` lets pass
needs far fewer; a machine may send long lists to rules that nobody checked."""
MAX_TEXT_CHARS: Final = 65_536
"""Of a text that `+` puts together."""


class Frame(Struct):
    """The values that a condition sees while it runs."""

    names: dict[str, object]
    around: Surroundings
    steps: int = MAX_STEPS
    """How many are left."""

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise UndeterminedError(f"more than {MAX_STEPS} steps are needed")


Run = Callable[[Frame], object]


class Scope(Struct, frozen=True, kw_only=True):
    """The names that a condition may use: kind, and the path that a reader of a reason knows it by."""

    names: Mapping[str, tuple[Kind, str]]

    def with_name(self, name: str, kind: Kind, path: str) -> Scope:
        return Scope(names={**self.names, name: (kind, path)})


class Typed(Struct, frozen=True):
    """A part of a condition: what it gives, how to run it, and the path of the fact when it is one."""

    kind: Kind
    run: Run
    path: str = ""
    name: str = ""
    """Set where it is a bare name that is always there, so that reading a field of it can do without a call."""
    constant: frozenset[int | str] | None = None
    """Set where it is a list that stands in the text."""


def base_scope(limits: Mapping[str, Kind], lists: Iterable[str] = ()) -> Scope:
    """Every section, `now`, `limits`, `lists`, `attributes`."""
    names = {name: (kind, name) for name, kind in section_kinds().items()}
    names["now"] = (TIMESTAMP, "now")
    names["limits"] = (Kind(name="record", fields=limits), "limits")
    names["lists"] = (Kind(name="record", fields=dict.fromkeys(lists, _TEXTS)), "lists")
    names["attributes"] = (NAMES, "attributes")
    return Scope(names=names)
