"""Which clauses of which frameworks a check gives evidence for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from secmon.evaluate.frameworks import Framework
from secmon.reports.model import Clause

GUIDELINE = "soumu-guideline"
"""The framework whose clauses stand beside each check on paper; the files hold all of them."""


def clauses_of(frameworks: Iterable[Framework], checks: Iterable[str]) -> Mapping[str, tuple[Clause, ...]]:
    known = tuple(frameworks)
    return {check: tuple(_clauses(known, check)) for check in checks}


def _clauses(frameworks: Iterable[Framework], check: str) -> Iterable[Clause]:
    for framework in frameworks:
        for control in framework.controls_of(check):
            yield Clause(
                framework=framework.id,
                edition=framework.edition,
                control=control.id,
                title=control.title,
                local_article=control.local_article,
                verified=control.verified,
            )
