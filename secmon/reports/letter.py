"""The mail that brings the monthly report."""

from __future__ import annotations

from secmon.config import Config
from secmon.notify.message import Attachment
from secmon.notify.queue import Letter
from secmon.reports import pdf
from secmon.reports.archive import Archived
from secmon.reports.exceptions import in_force
from secmon.reports.page import movement
from secmon.reports.speaker import Speaker
from secmon.reports.view import as_of, month_name

RULE = "monthly-report"
GROUP = "monthly"

_JA = """{office}　{month}分の情報セキュリティ点検の結果をお送りします。

{as_of}の状態です。
登録端末 {machines}台、報告あり {reporting}台、音信不通 {silent}台、未報告 {never}台
要対応の端末 {failing}台、確認できない項目が残る端末 {unknown}台
{movement}
{exceptions}
詳しくは添付の報告書（PDF）をご覧ください。1ページ目は供覧・決裁用です。
「適合」は集計時点で点検項目を満たしたことを示すもので、法令や基準への適合を保証するものではありません。

お問い合わせ：{contact}
このメールは自動で送信しています。
"""
_EN = """{office}: result of the information security checks of {month}.

As of {as_of}.
Machines: {machines}; reporting: {reporting}; silent: {silent}; never reported: {never}
Machines needing action: {failing}; with checks that could not be determined: {unknown}
{movement}
{exceptions}
The attached report (PDF) has the details; its first page is meant for approval.
"Passed" says that a check passed at the stated time; it does not say that laws or standards are met.

Questions: {contact}
This mail was sent automatically.
"""


def letter(archived: Archived, config: Config) -> Letter:
    """To all recipients of the configuration, once for the month."""
    report = archived.report
    speaker = Speaker(config.office.language, report.office.time_zone)
    office, month = report.office.name, month_name(report, speaker)
    text = speaker.say(_JA, _EN).format(
        office=office,
        month=month,
        machines=report.coverage.machines,
        reporting=report.coverage.reporting,
        silent=report.coverage.silent,
        never=report.coverage.never_reported,
        failing=len(report.failing),
        unknown=len(report.unknown),
        as_of=as_of(report, speaker),
        movement=movement(report, speaker),
        exceptions=f"{said}\n" if (said := in_force(report, speaker)) else "",
        contact=report.office.contact,
    )
    return Letter(
        rule=RULE,
        group=GROUP,
        window=report.month,
        recipients=config.mail.recipients,
        subject=speaker.say(
            f"[月次報告] {month}分 情報セキュリティ点検（{office}）",
            f"[Monthly report] Information security checks {month} ({office})",
        ),
        text=text,
        attachments=(
            Attachment(
                name=f"secmon-{report.month}.pdf",
                media_type="application/pdf",
                data=pdf.render(archived, config.office.language),
            ),
        ),
    )
