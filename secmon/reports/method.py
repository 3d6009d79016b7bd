"""How the numbers came about, in words for whoever audits them."""

from __future__ import annotations

from datetime import datetime

from secmon.evaluate.model import Language, Text
from secmon.reports.archive import Archived
from secmon.reports.model import MonthlyReport

_JA = (
    "各端末の点検プログラムが設定と更新の状態を読み取り、署名を付けて報告します。判定は収集サーバーで行い、端末の設定は変更しません。",
    "判定は「適合」「要対応」「確認不能」「例外」「対象外」の五つです。読み取れなかったもの、古いデータに基づくものは「確認不能」とし、"
    "適合とはみなしません。",
    "「例外」は、承認を受けた例外措置がすべての問題に当たるもので、適合とはみなしません。誤検知として見直し中のものは"
    "「確認不能」に数えます。例外措置は集計時点で有効だったものにより、後から登録や終了があっても過去の報告書は変わりません。",
    "分野ごとの判定は、その分野の項目のうち最も悪い結果によります。割合の分母には「確認不能」「例外」を含め、「対象外」を含めません。",
    "一度も報告のない端末と、点検の結果がない端末は「確認不能」に数えます。",
    "前月比は、前月末時点の状態を現在わかっているデータで数え直した値との差です。",
    "締切の後に届いたデータは、この報告書を書き換えません。翌月の報告書に訂正として記載します。",
    "サポート終了日は、有償の延長サポートを含みません。",
    "人による確認は、回答した職員の言葉を記録したものです。点検の結果と割合には含めません。",
)
_EN = (
    "A program on each machine reads settings and patch level and reports them, signed. The collector judges; "
    "nothing on the machine is changed.",
    "There are five answers: passed, action needed, not determined, excepted, not applicable. What could not be read, "
    "or rests on old data, is not determined and never counts as passed.",
    "Excepted means that an approved exception covers every problem; it never counts as passed. What is disputed "
    "counts as not determined. The exceptions that held at the moment described count; what is entered or taken back "
    "later changes no earlier report.",
    "A machine's result in an area is its worst answer there. Shares include what is not determined or excepted "
    "and leave out what is not applicable.",
    "Machines that never reported, or have no result, count as not determined.",
    "Changes compare with the end of the month before, counted anew from what is known today.",
    "What arrives after the closing does not rewrite this report; it stands in the next one as a correction.",
    "End-of-support dates do not include paid extensions.",
    "What people attest by hand is their word; it is in none of the results and shares.",
)


def method(language: Language) -> tuple[str, ...]:
    return _JA if language == "ja" else _EN


def record(archived: Archived, report: MonthlyReport, language: Language) -> list[list[str]]:
    """What proves which data, rules and program this paper comes from. Instants in UTC, as they are archived."""
    not_archived = Text(ja="速報のため保管していません", en="interim, not archived")
    rows = (
        (Text(ja="集計期間（UTC）", en="Period (UTC)"), f"{_utc(report.begins_at)} – {_utc(report.as_of)}"),
        (Text(ja="締切（UTC）", en="Closed at (UTC)"), _utc(report.closed_at)),
        (Text(ja="点検基準の版", en="Rule set"), ", ".join(report.rulesets)),
        (Text(ja="収集サーバー", en="Collector"), str(report.collector_id)),
        (Text(ja="様式と作成プログラム", en="Format and program"), f"{report.format}, {archived.renderer}"),
        (
            Text(ja="保管記録のハッシュ（SHA-256）", en="Hash in the archive (SHA-256)"),
            archived.hash.hex() if archived.hash else not_archived.of(language),
        ),
    )
    return [[label.of(language), value] for label, value in rows]


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
