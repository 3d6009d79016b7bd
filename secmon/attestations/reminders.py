"""Telling people, once each, that answers given by hand end soon or have ended. What nobody ever answered is asked of
nobody by mail: `secmon attest list` and the monthly report show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, Literal

from msgspec import Struct

from secmon.attestations.model import SOON_DAYS, Attestation, state
from secmon.config import Config
from secmon.evaluate.questions import Question
from secmon.japanese import wareki
from secmon.notify.queue import Letter
from secmon.notify.text import fold, one_line

RULE: Final = "attestation-reminder"
"""Of the delivery."""
Stage = Literal["soon", "over"]


class Due(Struct, frozen=True, kw_only=True):
    record: Attestation
    stage: Stage

    @property
    def job(self) -> str:
        """With the stage as its period: what makes sure that it is said once. No task of its own, hence the slash."""
        return f"attestations/{self.record.number}"


def due_now(current: Iterable[Attestation], questions: Mapping[str, Question], today: date) -> list[Due]:
    """What is to be said today, said before or not, the earliest end first. Nothing of what was entered with less time
    than that, nor of a question that the rules no longer ask."""
    found = []
    for record in current:
        standing = state(record, today)
        entered_late = record.due_on - record.attested_on < timedelta(days=SOON_DAYS)
        if record.question not in questions or standing == "held" or (standing == "due_soon" and entered_late):
            continue
        found.append(Due(record=record, stage="soon" if standing == "due_soon" else "over"))
    return sorted(found, key=lambda each: (each.record.due_on, each.record.number))


_JA = """次の事項は、担当者の確認の期限が来ます。期限を過ぎると「期限切れ」となり、確認済みに数えません。

{lines}

■ 今すること（担当：{contact}）
　1. 質問の内容を確かめてください：secmon attest show 記号
　2. 状況を確認し、結果を登録してください：
　   secmon attest add 記号 --answer yes --post 職名 --name 氏名

■ 連絡先
{contact_folded}

--{space}
{office}　セキュリティ監視（secmon）
このメールは自動で送信しています。
"""
_EN = """These answers that somebody gave by hand end soon or have ended. After its last day an answer no longer counts.

{lines}

What to do now ({contact})
  1. Read the question: secmon attest show ID
  2. Look how things are, and enter the answer:
     secmon attest add ID --answer yes --post POST --name NAME

Contact
{contact_folded}

--{space}
{office}, security monitor (secmon)
This mail was sent automatically.
"""


def letter(due: Sequence[Due], questions: Mapping[str, Question], today: date, config: Config) -> Letter:
    """One mail for all that is to be said today."""
    japanese = config.office.language == "ja"
    contact = one_line(config.office.contact)
    text = (_JA if japanese else _EN).format(
        lines="\n".join(_line(each, questions, config) for each in due),
        contact=contact,
        contact_folded=fold(contact, "　" if japanese else "  "),
        office=one_line(config.office.name),
        space=" ",
    )
    title = one_line(questions[due[0].record.question].title.of(config.office.language))
    more = len(due) - 1
    if japanese:
        subject = f"[期限のお知らせ] 人による確認「{title}」" + (f" ほか{more}件" if more else "")
    else:
        subject = f"[Ending soon] Attested by hand: {title}" + (f" and {more} more" if more else "")
    return Letter(
        rule=RULE,
        group="reminder",
        window=today.isoformat(),
        recipients=config.mail.recipients,
        subject=subject,
        text=text,
    )


def _line(each: Due, questions: Mapping[str, Question], config: Config) -> str:
    record = each.record
    title = one_line(questions[record.question].title.of(config.office.language))
    if config.office.language == "ja":
        end = f"{wareki(record.due_on)}まで" + ("（期限切れ）" if each.stage == "over" else "")
        return fold(f"・{title}（{record.question}）：{end}。前回 {record.post} {record.name}", "　", "　　")
    end = f"until {record.due_on}" + (" (over)" if each.stage == "over" else "")
    return fold(f"- {title} ({record.question}): {end}; last by {record.post} {record.name}", "  ", "    ")
