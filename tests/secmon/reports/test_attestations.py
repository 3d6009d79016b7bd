"""A month tells what people attested, as it was known at its closing, and counts nothing of it among the answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from secmon.attestations.model import Answer, Attestation
from secmon.reports import archive
from secmon.reports.archive import Archived
from secmon.reports.model import AttestationLine, MonthlyReport
from secmon.reports.view import view
from secmon.rulebook import Rulebook
from secmon.store import attestations
from tests.secmon.reports.conftest import Town
from tests.secmon.reports.test_files import make, text_of

CLOSING = datetime(2026, 12, 1, tzinfo=UTC)
QUESTIONS = """questions:
  - {id: training, title: {ja: 職員研修, en: Training}, question: {ja: 受けましたか。, en: Trained?}}
  - {id: audit, title: {ja: 監査, en: Audit}, question: {ja: しましたか。, en: Audited?}}
  - {id: backup, title: {ja: バックアップ, en: Backup}, question: {ja: 試しましたか。, en: Tried?}}
"""


@pytest.fixture
def asked(tmp_path: Path, rules_folder: Path) -> Iterator[Town]:
    folder = tmp_path / "rules"
    shutil.copytree(rules_folder, folder)
    (folder / "attestations").mkdir()
    (folder / "attestations" / "a.yaml").write_text(QUESTIONS, encoding="utf-8")
    with (folder / "frameworks" / "soumu-guideline.yaml").open("a", encoding="utf-8") as file:
        file.write('  - {id: "5.2", title: {ja: 研修, en: T}, attested: [training], local_article: 第9条}\n')
        file.write('  - {id: "9.1", title: {ja: 監査, en: A}, attested: [audit]}\n')
    rulebook = Rulebook(folder)
    built = Town(tmp_path, rules=rulebook.current)
    built.rulebook = rulebook
    yield built
    built.database.close()


def attest(
    town: Town,
    question: str,
    day: date,
    now: datetime,
    *,
    last: date = date(2027, 3, 31),
    answer: Answer = "yes",
) -> Attestation:
    wanted = attestations.Wanted(
        question=question, asked="受けましたか。", answer=answer, attested_on=day, due_on=last, post="総務課長",
        name="山田 太郎", evidence="研修簿 R8-12",
    )  # fmt: skip
    with town.database.write() as connection:
        return attestations.add(connection, wanted, actor="test", now=now)


def november(number: int) -> datetime:
    return datetime(2026, 11, number, 3, tzinfo=UTC)


def by_question(report: MonthlyReport) -> dict[str, AttestationLine]:
    return {line.question: line for line in report.attestations}


def test_it_tells_every_question_with_its_last_answer_and_where_it_stands(asked: Town) -> None:
    attest(asked, "training", date(2026, 11, 5), november(6), answer="partly")
    attest(asked, "audit", date(2026, 4, 5), november(6), last=date(2026, 11, 29))
    told = by_question(asked.monthly("2026-11", CLOSING))

    assert {question: line.state for question, line in told.items()} == {
        "training": "held", "audit": "overdue", "backup": "missing",
    }  # fmt: skip
    training = told["training"]
    assert (training.answer, training.attested_on, training.due_on) == ("partly", date(2026, 11, 5), date(2027, 3, 31))
    assert (training.post, training.name, training.number) == ("総務課長", "山田 太郎", "2026-A01")
    assert [clause.shown for clause in training.clauses] == ["第9条"]
    assert [clause.shown for clause in told["audit"].clauses] == ["9.1＊"]


def test_a_month_keeps_what_was_known_at_its_closing(asked: Town) -> None:
    record = attest(asked, "training", date(2026, 11, 5), november(6))
    closed = asked.monthly("2026-11", CLOSING)
    with asked.database.write() as connection:
        attestations.withdraw(connection, record, reason="誤り", actor="test", now=datetime(2026, 12, 3, tzinfo=UTC))
    attest(asked, "audit", date(2026, 11, 20), datetime(2026, 12, 4, tzinfo=UTC))

    assert asked.monthly("2026-11", datetime(2026, 12, 9, tzinfo=UTC)) == closed
    told = by_question(closed)
    assert (told["training"].state, told["audit"].state) == ("held", "missing")
    later = by_question(asked.monthly("2026-12", datetime(2027, 1, 4, tzinfo=UTC)))
    assert (later["training"].state, later["audit"].state) == ("missing", "held")


def test_the_last_day_counts_in_full_at_the_office(asked: Town) -> None:
    attest(asked, "training", date(2026, 11, 5), november(6), last=date(2026, 11, 30))
    attest(asked, "audit", date(2026, 12, 1), november(30), last=date(2027, 3, 31))
    told = by_question(asked.monthly("2026-11", CLOSING))

    assert (told["training"].state, told["audit"].state) == ("due_soon", "missing")


def test_it_prints_them_in_the_last_annex(asked: Town, tmp_path: Path) -> None:
    attest(asked, "training", date(2026, 11, 5), november(6))
    attest(asked, "audit", date(2026, 4, 5), november(6), last=date(2026, 11, 29))
    pdf, *_ = make(asked, "2026-11", tmp_path / "out", CLOSING)
    text = text_of(pdf.read_bytes(), tmp_path, "-layout")

    annex = text[text.index("別紙８") :]
    for words in ("職員研修", "できている", "R8.11.5", "総務課長 山田 太郎（研修簿", "R9.3.31", "第9条"):
        assert words in annex
    due = annex[annex.index("期限切れ・未確認") :]
    assert "R8.11.29 まで" in due
    assert "バックアップ" in due


def test_a_report_from_before_says_nothing_of_them(asked: Town) -> None:
    made = asked.archived("2026-11", CLOSING)
    plain = msgspec.json.decode(made.model)
    del plain["attestations"]
    old = Archived(model=msgspec.json.encode(plain), hash=made.hash, created_at=made.created_at, renderer="old")

    assert old.report.attestations == ()
    annex = view(old, "ja").annex
    assert (annex.attested, annex.unattested) == ([], [])
    assert archive.canonical(old.report) != made.model
