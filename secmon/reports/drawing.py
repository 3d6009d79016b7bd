"""Finished pieces that the template lays out."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from secmon.evaluate.model import Text
from secmon.reports.model import Counts

Rows = Sequence[Sequence[str]]

NO_ZONE = Text(ja="系統未設定", en="(no zone)")
NO_DEPARTMENT = Text(ja="課未登録", en="(no department)")
NO_NUMBER = Text(ja="台帳なし", en="not in ledger")
NO_NAME = Text(ja="名称なし", en="(no name)")


class Bar(Struct, frozen=True, kw_only=True):
    """Counts to draw, and the words that stand beside them."""

    label: str
    answer: str
    passed: int
    failed: int
    unknown: int
    excepted: int
    note: str


def bar(counts: Counts, *, label: str = "", answer: str = "", note: str = "") -> Bar:
    return Bar(
        label=label,
        answer=answer,
        passed=counts.passed,
        failed=counts.failed,
        unknown=counts.unknown,
        excepted=counts.excepted,
        note=note,
    )
