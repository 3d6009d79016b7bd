"""Which clauses of which frameworks a check, or an answer that somebody gave by hand, gives evidence for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from secmon.evaluate.frameworks import Control, Framework
from secmon.reports.model import Clause

GUIDELINE = "soumu-guideline"
"""The framework whose clauses stand beside each check on paper; the files hold all of them."""


def clauses_of(frameworks: Sequence[Framework], checks: Iterable[str]) -> Mapping[str, tuple[Clause, ...]]:
    return {
        check: tuple(
            _clause(framework, control) for framework in frameworks for control in framework.controls_of(check)
        )
        for check in checks
    }


def clauses_by_question(frameworks: Iterable[Framework]) -> Mapping[str, tuple[Clause, ...]]:
    found: defaultdict[str, list[Clause]] = defaultdict(list)
    for framework in frameworks:
        for control in framework.controls:
            for question in control.attested:
                found[question].append(_clause(framework, control))
    return {question: tuple(clauses) for question, clauses in found.items()}


def _clause(framework: Framework, control: Control) -> Clause:
    return Clause(
        framework=framework.id,
        edition=framework.edition,
        control=control.id,
        title=control.title,
        local_article=control.local_article,
        verified=control.verified,
    )
