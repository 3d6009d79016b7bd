"""How answers and their standing are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secmon.attestations.model import Answer, State
from secmon.evaluate.model import Text

ANSWERS: Final[Mapping[Answer, Text]] = {
    "yes": Text(ja="できている", en="yes"),
    "partly": Text(ja="一部できている", en="partly"),
    "no": Text(ja="できていない", en="no"),
}
STATES: Final[Mapping[State, Text]] = {
    "held": Text(ja="有効", en="holds"),
    "due_soon": Text(ja="まもなく期限", en="due soon"),
    "overdue": Text(ja="期限切れ", en="overdue"),
    "missing": Text(ja="未確認", en="not attested"),
}
HISTORY: Final[Mapping[str, Text]] = {
    **{str(name): text for name, text in STATES.items()},
    "withdrawn": Text(ja="取消", en="withdrawn"),
    "replaced": Text(ja="更新済み", en="replaced"),
}
"""Of any record; the last two no longer count."""
