"""Fixed words of the printed report, in both languages; the template asks for them by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secmon.evaluate.model import Severity, Standing, Text


def _t(ja: str, en: str) -> Text:
    return Text(ja=ja, en=en)


STATUS: Final[Mapping[Standing, Text]] = {
    "pass": _t("○ 適合", "○ Passed"),
    "fail": _t("× 要対応", "× Action needed"),
    "unknown": _t("？ 確認不能", "? Not determined"),
    "excepted": _t("◇ 例外", "◇ Excepted"),
    "not_applicable": _t("－ 対象なし", "– Not applicable"),
}

SEVERITY: Final[Mapping[Severity, Text]] = {
    "high": _t("高", "High"),
    "medium": _t("中", "Medium"),
    "low": _t("低", "Low"),
}

WORDS: Final[Mapping[str, Text]] = {
    "title": _t("情報セキュリティ点検　月次報告", "Information security checks: monthly report"),
    "interim": _t("速報", "Interim"),
    "interim_note": _t(
        "月の途中の集計です。確定した報告は月末の後に作成されます。",
        "The month is not over. The final report is made after its end.",
    ),
    "target": _t("対象月", "Month"),
    "made": _t("作成日", "Made on"),
    "as_of": _t("集計時点", "As of"),
    "office": _t("作成部署", "Made by"),
    "coverage": _t("１　点検の範囲", "1  What was checked"),
    "ledger": _t("台帳の機器", "In the ledger"),
    "machines": _t("登録端末", "Machines"),
    "reporting": _t("報告あり", "Reporting"),
    "silent": _t("音信不通", "Silent"),
    "never": _t("未報告", "Never reported"),
    "unit": _t("台", ""),
    "areas": _t("２　分野別の結果", "2  Result by area"),
    "area": _t("分野", "Area"),
    "verdict": _t("判定", "Result"),
    "share": _t("端末の内訳", "Share of machines"),
    "passed": _t("適合", "Passed"),
    "failed": _t("要対応", "Action"),
    "unknown": _t("確認不能", "Unknown"),
    "excepted": _t("例外", "Excepted"),
    "not_applicable": _t("対象外", "N/A"),
    "change": _t("要対応の前月比", "Action vs. last month"),
    "change_short": _t("前月比", "Change"),
    "decisions": _t("３　ご判断いただきたいこと", "3  Decisions wanted"),
    "decision": _t("内容", "Subject"),
    "affected": _t("対象", "Machines"),
    "departments": _t("担当", "Departments"),
    "deadline": _t("期限", "Deadline"),
    "no_decisions": _t("今月、ご判断をお願いする事項はありません。", "No decision is wanted this month."),
    "trend": _t("４　適合した割合の推移", "4  Share of answers that passed"),
    "support": _t("５　サポート終了（18か月以内）", "5  End of support within 18 months"),
    "product": _t("製品", "Product"),
    "until": _t("終了日", "Ends"),
    "no_support": _t("18か月以内にサポートが終了する製品はありません。", "No product loses support within 18 months."),
    "disclaimer": _t(
        "「適合」は、集計時点で点検項目を満たしたことを示すもので、法令や基準への適合を保証するものではありません。"
        "確認できなかった端末は「確認不能」、承認を受けた例外措置は「例外」とし、割合の分母に含めています。",
        "“Passed” says that a check passed at the stated time; it does not say that laws or standards are met. "
        "What could not be checked is unknown, what was approved is excepted; both stay in every denominator.",
    ),
    "empty": _t(
        "登録された端末がないため、集計した結果はありません。",
        "No machine is registered, so there is nothing to count.",
    ),
    "annex": _t("別紙", "Annex"),
    "annex_zones": _t("別紙１　系統別の状況", "Annex 1  By zone"),
    "zone": _t("系統", "Zone"),
    "newest": _t("最新データ", "Newest data"),
    "stale_days": _t("データの有効期間", "Data valid for"),
    "silent_days": _t("音信不通とする期間", "Silent after"),
    "matrix_note": _t(
        "数字は、要対応・確認不能・例外・適合の台数です。", "Numbers: action, unknown, excepted, passed."
    ),
    "annex_failing": _t("別紙２　要対応の端末", "Annex 2  Machines needing action"),
    "first_steps": _t("点検項目ごとの最初の手順", "First step for each check"),
    "first_step": _t("最初の手順", "First step"),
    "no": _t("番号", "No."),
    "check": _t("点検項目", "Check"),
    "severity": _t("重要度", "Severity"),
    "machine": _t("端末", "Machine"),
    "evidence": _t("根拠", "Evidence"),
    "since": _t("いつから", "Since"),
    "no_failing": _t("要対応の端末はありません。", "No machine needs action."),
    "annex_unknown": _t("別紙３　確認できなかった端末", "Annex 3  What could not be checked"),
    "absent": _t("報告のない端末", "Machines that do not report"),
    "last_seen": _t("最後の報告", "Last report"),
    "never_reported": _t("台帳にあるのに一度も報告のない機器", "In the ledger, never reported"),
    "entered": _t("台帳への記載日", "Entered"),
    "no_never_reported": _t(
        "猶予期間を過ぎても一度も報告のない機器はありません。", "No machine of the ledger has been silent for too long."
    ),
    "no_absent": _t("報告のない端末はありません。", "Every machine reports."),
    "undetermined": _t("一部の項目を確認できなかった端末", "Machines with undetermined checks"),
    "count": _t("項目数", "Checks"),
    "reasons": _t("主な理由", "Main reasons"),
    "no_unknown": _t("確認できなかった項目はありません。", "Everything could be determined."),
    "annex_checks": _t("別紙４　点検項目の一覧", "Annex 4  All checks"),
    "clauses": _t("総務省ガイドラインの条項", "Clauses (MIC guideline)"),
    "asset": _t("台帳番号", "Asset number"),
    "department": _t("課", "Department"),
    "machines_count": _t("台数", "Machines"),
    "unverified": _t(
        "＊印の条項番号は、原文との照合が済んでいません。", "* The number has not been compared with the original text."
    ),
    "annex_exceptions": _t("別紙５　例外措置と誤検知", "Annex 5  Exceptions and disputes"),
    "exceptions": _t("例外措置", "Exceptions"),
    "disputes": _t(
        "誤検知として見直し中のもの（確認不能に数えています）", "Disputed answers (counted as not determined)"
    ),
    "number": _t("登録番号", "Number"),
    "scope": _t("対象の端末", "Machines"),
    "reason": _t("理由・代替策", "Reason, what is done instead"),
    "approver": _t("承認者", "Approved by"),
    "last_day": _t("期限", "Until"),
    "no_exceptions": _t("有効な例外措置はありません。", "No exception is in force."),
    "annex_corrections": _t("別紙６　前月報告の訂正", "Annex 6  Corrections to last month's report"),
    "reported": _t("報告時", "Reported"),
    "corrected": _t("訂正後", "Corrected"),
    "annex_method": _t("別紙７　集計の方法と根拠", "Annex 7  Method and evidence"),
    "annex_attested": _t("別紙８　人による確認", "Annex 8  Attested by hand"),
    "attested_note": _t(
        "機械では確かめられない事項について、担当者が確認し登録したものです。期限の過ぎた確認は、確認済みに数えません。",
        "What no machine can look at, as people of the office confirmed it. After its last day it no longer counts.",
    ),
    "attested": _t("確認済み", "Attested"),
    "unattested": _t("期限切れ・未確認", "Overdue or never attested"),
    "no_attested": _t("有効な確認はありません。", "Nothing is attested at present."),
    "question": _t("確認する事項", "Subject"),
    "given_answer": _t("回答", "Answer"),
    "attested_on": _t("確認日", "Day"),
    "attested_by": _t("確認者（根拠）", "By (evidence)"),
    "standing": _t("状態", "State"),
    "last_answer": _t("前回の期限", "Last answer"),
    "limit": _t("基準値", "Threshold"),
    "ordinary": _t("標準", "Default"),
    "record": _t("記録", "Record"),
    "page": _t("ページ", "Page"),
    "stamp_1": _t("町長", "Mayor"),
    "stamp_2": _t("副町長", "Deputy"),
    "stamp_3": _t("課長", "Manager"),
    "stamp_4": _t("係長", "Chief"),
    "stamp_5": _t("担当", "Staff"),
    "stamps": _t("決裁", "Approval"),
}
