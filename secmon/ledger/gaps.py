"""What is wrong with a row of the ledger that no machine stands for, in words; `rules/` speaks of machines only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.model import Language, Severity, Text
from secmon.evaluate.ruleset import RuleSet


class Gap(Struct, frozen=True, kw_only=True):
    """As much of a check as people read."""

    id: str
    area: str
    title: Text
    severity: Severity
    why: Text
    fix: Mapping[Language, tuple[str, ...]]


NEVER_REPORTED: Final = Gap(
    id="ledger.never-reported",
    area="zone",
    title=Text(ja="台帳にある機器からの報告", en="Every machine of the ledger reports"),
    severity="medium",
    why=Text(
        ja="台帳にあるのに一度も報告のない機器は、更新プログラムやウイルス対策の状態が分かりません。"
        "所在が分からなくなっているおそれもあります。",
        en="Of a machine that never reported nobody knows whether it is up to date or protected; it may even be lost.",
    ),
    fix={
        "ja": (
            "台帳の設置場所に機器があるか、使われているかを確かめてください。",
            "使っている機器には secmon-agent を入れて登録してください。別の名前で登録済みのときは、"
            "`secmon host set 機器名 --asset-number 台帳番号` で台帳と結び付けます。",
            "廃棄した機器は台帳から外し、`secmon ledger import 台帳ファイル --complete` で取り込み直してください。"
            "予備機など報告しない機器は、例外措置として登録できます。",
        ),
        "en": (
            "See whether the machine stands where the ledger says, and whether it is used.",
            "If it is used, install secmon-agent and enroll it. If it is enrolled under another name, "
            "run `secmon host set HOST --asset-number NUMBER`.",
            "If it was disposed of, take it off the ledger and run `secmon ledger import FILE --complete`. "
            "A spare machine that never reports can be recorded as an exception.",
        ),
    },
)
GAPS: Final[Mapping[str, Gap]] = {gap.id: gap for gap in (NEVER_REPORTED,)}


def described(rules: RuleSet, check: str) -> Check | Gap | None:
    """What a finding of this id is about; None for a check that the rules no longer have."""
    return rules.checks.get(check) or GAPS.get(check)
