"""Where a check is asked for, as `rules/frameworks/` says, in the words of a mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from secmon.alerts.compose import Clauses
from secmon.evaluate.frameworks import Control, Framework
from secmon.evaluate.model import Language
from secmon.notify.text import one_line
from secmon.notify.view import Clause


def clauses_of(frameworks: Sequence[Framework]) -> Clauses:
    """A line for each framework; numbers that nobody compared with the published text stand apart, and are marked."""

    known = {framework.id: framework for framework in frameworks}

    def find(check_id: str, wanted: Sequence[str], language: Language) -> tuple[Clause, ...]:
        return tuple(
            Clause(framework=_name(framework, language), control=_numbers(controls, language), verified=verified)
            for framework in (known[id_] for id_ in wanted if id_ in known)
            for verified in (True, False)
            if (controls := [each for each in framework.controls_of(check_id) if each.verified is verified])
        )

    return find


def _name(framework: Framework, language: Language) -> str:
    edition = f"（{framework.edition}）" if language == "ja" else f" ({framework.edition})"
    return one_line(f"{framework.title.of(language)}{edition if framework.edition else ''}", 100)


def _numbers(controls: Iterable[Control], language: Language) -> str:
    shown = []
    for control in controls:
        local = control.local_article
        if local:
            local = f"（本町の規程 {local}）" if language == "ja" else f" (our own rules: {local})"
        shown.append(f"{control.id}{local}")
    return one_line(("、" if language == "ja" else ", ").join(shown), 120)
