"""What differs between two readings of a section, so that only the checks that rest on it are judged again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from secmon.evaluate.model import SectionState


class Change(Struct, frozen=True, kw_only=True):
    """A section as it was and as it is; None where the machine did not speak of it."""

    section: str
    before: SectionState | None
    after: SectionState | None


def changed_paths(changes: Iterable[Change]) -> frozenset[str]:
    """The facts that differ, as `Check.rests_on` names them; a section as a whole where it came, went or was not read.

    A list is one fact: its elements have no names that both readings share.
    """
    return frozenset(path for change in changes for path in _differing(change))


def _differing(change: Change) -> Iterator[str]:
    before, after = _facts(change.before), _facts(change.after)
    if before is not None and after is not None:
        yield from _below(change.section, before, after)
    elif change.before != change.after:
        yield change.section


def _facts(state: SectionState | None) -> Mapping[str, object] | None:
    return state.facts if state is not None and state.status == "ok" else None


def _below(path: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    for name in before.keys() | after.keys():
        one, other = before.get(name), after.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _below(f"{path}.{name}", one, other)
        elif one != other:
            yield f"{path}.{name}"
