"""Questions that no machine can answer: an office answers them by hand, again and again, and controls rest on them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.evaluate.bounded import listed, read_bounded
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import Text

FOLDER: Final = "attestations"
YEARLY: Final = 12
MONTHS: Final = (3, 6, YEARLY)
"""A question is asked once in each quarter, half or whole of a fiscal year."""
MAX_ID_CHARS: Final = 64
NEEDED: Final = ("id", "title", "question")


class Question(Struct, frozen=True, kw_only=True):
    id: str
    title: Text
    question: Text
    """As it is put to whoever attests: answered by yes, partly or no."""
    months: int = YEARLY


def load_questions(folder: Path, site: Path | None = None) -> dict[str, Question]:
    """By id, those in `attestations/` of the rules folder, then the office's; raises RulesError with every mistake."""
    mistakes: list[Mistake] = []
    found: dict[str, Question] = {}
    for source in filter(None, (folder, site)):
        for path in listed(source / FOLDER, "*.yaml"):
            reader = Reader(f"{source.name}/{FOLDER}/{path.name}" if source is folder else str(path))
            for line, question in _read(path, reader):
                if question.id in found:
                    reader.wrong(line, f"the question {question.id!r} is there already")
                found[question.id] = question
            mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return found


def _read(path: Path, reader: Reader) -> list[tuple[int, Question]]:
    try:
        node = read_document(read_bounded(path, path.parents[1]))
        fields = reader.mapping(node, "file", needed=("questions",), allowed=("questions",))
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return []
    except OSError as error:
        reader.wrong(1, f"cannot be read: {error.strerror}")
        return []
    entries = reader.sequence(fields["questions"], "questions") if "questions" in fields else []
    return [(entry.line, _question(entry, reader)) for entry in entries]


def _question(node: Node, reader: Reader) -> Question:
    fields = reader.mapping(node, "question", needed=NEEDED, allowed=(*NEEDED, "months"))
    id_ = reader.string(fields.get("id"), "id")
    if len(id_) > MAX_ID_CHARS:
        reader.wrong(node.line, f"id: at most {MAX_ID_CHARS} characters")
    months = fields.get("months")
    if months is not None and months.value not in MONTHS:
        reader.wrong(months.line, f"months: one of {', '.join(map(str, MONTHS))}")
    return Question(
        id=id_,
        title=reader.text(fields.get("title"), "title"),
        question=reader.text(fields.get("question"), "question"),
        months=months.value if months is not None and isinstance(months.value, int) else YEARLY,
    )
