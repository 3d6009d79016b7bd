"""The functions that conditions may call, beyond those of CEL itself. A fault says why there is no answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from secmon.evaluate.kinds import BOOL, DOUBLE, INT, STRING, TIMESTAMP, Kind
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.versions import version_cmp

CLOCK_TOLERANCE: Final = timedelta(days=1)
"""An instant further in the future than this comes from a wrong clock and proves nothing."""


class UndeterminedError(Exception):
    """There is no answer; the text says why, in English, short and stable."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a function may look at besides its arguments."""

    now: datetime
    lifecycle: Lifecycle


class Function(Struct, frozen=True, kw_only=True):
    takes: tuple[tuple[Kind, ...], ...]
    """The kinds allowed for each argument."""
    gives: Kind
    run: Callable[..., object]
    """Called with the surroundings first."""
    needs_now: bool = False
    optional: int = 0
    """How many of the last arguments may be left out."""


def days_since(around: Surroundings, instant: datetime) -> float:
    age = around.now - instant
    if age < -CLOCK_TOLERANCE:
        raise UndeterminedError(f"{day(around, instant)} lies in the future")
    return age / timedelta(days=1)


def days_until(around: Surroundings, instant: datetime) -> float:
    """Negative once it is over."""
    return (instant - around.now) / timedelta(days=1)


def end_of_support(around: Surroundings, product: str, cycle: str, edition: str = "") -> datetime:
    end = around.lifecycle.end_of_support(product, cycle, edition)
    if end is None:
        raise UndeterminedError(f"no end of support is known for {' '.join(filter(None, (product, cycle, edition)))}")
    return end


def day(_: Surroundings, instant: datetime) -> str:
    return instant.date().isoformat()


def string(_: Surroundings, value: int | str) -> str:
    return str(value)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "days_since": Function(takes=((TIMESTAMP,),), gives=DOUBLE, run=days_since, needs_now=True),
    "days_until": Function(takes=((TIMESTAMP,),), gives=DOUBLE, run=days_until, needs_now=True),
    "day": Function(takes=((TIMESTAMP,),), gives=STRING, run=day),
    "end_of_support": Function(
        takes=((STRING,), (STRING,), (STRING,)), gives=TIMESTAMP, run=end_of_support, optional=1
    ),
    "string": Function(takes=((INT, STRING),), gives=STRING, run=string),
    "version_cmp": Function(takes=((STRING,), (STRING,)), gives=INT, run=lambda _, a, b: version_cmp(a, b)),
    "size": Function(takes=((STRING, Kind(name="list")),), gives=INT, run=lambda _, value: len(value)),
}
METHODS: Final[Mapping[str, Function]] = {
    "contains": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: part in text),
    "startsWith": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: text.startswith(part)),
    "endsWith": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: text.endswith(part)),
}
REGISTERED: Final = frozenset({"days_since", "days_until", "day", "end_of_support", "version_cmp"})
"""Those that CEL does not bring itself."""
