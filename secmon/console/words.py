"""Every sentence of the pages, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secmon.evaluate.model import Text


def _(ja: str, en: str) -> Text:
    return Text(ja=ja, en=en)


WORDS: Final[Mapping[str, Text]] = {
    "product": _("セキュリティ状況", "Security posture"),
    "skip": _("本文へ移動", "Skip to content"),
    "home": _("機器の一覧", "Machines"),
    "other_language": _("English", "日本語"),
    "rules_trouble": _(
        "判定基準のファイルに誤りがあります。直前の正しい基準で判定を続けています。",
        "The rules on disk have a mistake; the last good ones stay in force.",
    ),
    "rules_misfits": _(
        "独自の判定基準のうち、この版の項目に当てはまらないもの（{count}件）は使われていません。",
        "Of the office's own rules, {count} entries fit nothing in this version and are not used.",
    ),
    "rules_waiting": _(
        "判定基準が変わったため、機器を判定し直しています。残り {n} 台の結果は、以前の基準によるものです。",
        "The rules have changed and machines are being judged anew; the answers of {n} still rest on the rules before.",
    ),
    "sign_out": _("サインアウト", "Sign out"),
    "as_of": _("{when} 現在", "As of {when}"),
    # answers
    "pass": _("適合", "Pass"),
    "fail": _("要対応", "Fail"),
    "unknown": _("確認不能", "Unknown"),
    "excepted": _("例外", "Excepted"),
    "not_applicable": _("対象外", "Not applicable"),
    "high": _("高", "High"),
    "medium": _("中", "Medium"),
    "low": _("低", "Low"),
    "severity": _("重要度", "Severity"),
    # the first page
    "coverage": _("報告の状況", "Coverage"),
    "machines_count": _("{count} 台", "{count} machines"),
    "reporting": _("報告あり", "Reporting"),
    "silent": _("音信不通", "Silent"),
    "never_reported": _("未報告", "Never reported"),
    "stored": _("倉庫保管", "Stored"),
    "stored_count": _("ほかに倉庫保管が {count} 台あります。", "{count} more in storage."),
    "unseen_assets": _(
        "台帳にあって一度も登録されていない機器が {count} 台あります。",
        "{count} machines of the ledger have never been enrolled.",
    ),
    "open_findings": _("未対応の指摘", "Open findings"),
    "by_area": _("分野別の状況", "By area"),
    "by_area_note": _(
        "機器ごとに、その分野で最も悪い判定を数えています。", "Each machine counts by its worst answer in the area."
    ),
    "frequent": _("要対応の機器が多い項目", "Checks that most machines fail"),
    "machines": _("機器", "Machines"),
    "worst_first": _("対応を急ぐものから順に並べています。", "Worst first."),
    "machine": _("機器名", "Machine"),
    "zone": _("系統", "Zone"),
    "department": _("課", "Department"),
    "last_report": _("最終報告", "Last report"),
    "worst_finding": _("最も重い指摘", "Gravest finding"),
    "no_finding": _("指摘なし", "No finding"),
    "no_known_finding": _("確認できた範囲では指摘なし", "No finding among what is known"),
    "filter": _("絞り込み", "Filter"),
    "search": _("機器名・台帳番号", "Name or asset number"),
    "all": _("すべて", "All"),
    "none_given": _("（未設定）", "(not set)"),
    "apply": _("表示", "Show"),
    "clear": _("解除", "Clear"),
    "filtered": _("絞り込み中：全 {total} 台のうち {count} 台", "Filtered: {count} of {total} machines"),
    "nothing_found": _("条件に合う機器はありません。", "No machine matches."),
    "pages": _("ページ", "Pages"),
    "previous": _("前へ", "Previous"),
    "next": _("次へ", "Next"),
    "range": _("{first}～{last} 台目（全 {total} 台）", "{first}–{last} of {total}"),
    "resyncing": _("再同期中", "Resyncing"),
    # empty
    "empty_title": _("まだ機器が登録されていません", "No machine is enrolled yet"),
    "empty_intro": _(
        "機器を登録すると、この画面に判定の結果が表示されます。最初の 1 台は次の手順で登録できます。",
        "Once a machine is enrolled, its results appear here. To enroll the first one:",
    ),
    "empty_step_1": _(
        "この secmon が動いているコンピューターで、登録用の文字列を作ります。",
        "On the computer that runs secmon, make an enrollment string.",
    ),
    "empty_step_2": _(
        "登録する機器に secmon-agent を入れ、その文字列を渡します。",
        "On the machine, install secmon-agent and give it that string.",
    ),
    "empty_step_3": _("機器から最初の報告が届くと、この画面に現れます。", "It appears here with its first report."),
    "string_here": _("登録用の文字列", "STRING"),
    # a machine
    "os": _("OS", "Operating system"),
    "asset_number": _("台帳番号", "Asset number"),
    "location": _("設置場所", "Location"),
    "role": _("用途", "Role"),
    "contact": _("担当", "Contact"),
    "profile": _("プロファイル", "Profile"),
    "no_profile": _("なし（すべての項目を調べます）", "None (every check is asked)"),
    "owner": _("管理者", "Responsible"),
    "hostname": _("ホスト名", "Host name"),
    "serial": _("製造番号", "Serial number"),
    "agent_version": _("エージェント", "Agent"),
    "enrolled": _("登録日", "Enrolled"),
    "warn_stale": _(
        "最後の報告が古いため（{when}）、現在の状態は確認できません。機器の電源とネットワークを確認してください。",
        "The last report is old ({when}), so the present state is unknown. Check the machine's power and network.",
    ),
    "warn_never": _("この機器からはまだ一度も報告が届いていません。", "This machine has never reported."),
    "warn_resyncing": _(
        "機器の状態が変わり、詳しい情報の到着を待っています。下の判定は変わる前のものです。",
        "The machine has changed and its details are on their way. The answers below are from before.",
    ),
    "warn_clamped": _(
        "機器の時計が大きくずれています。時刻は補正して記録しています。",
        "The machine's clock is far off. Times are recorded as corrected.",
    ),
    "warn_rejected": _(
        "受け取れなかった報告が {count} 件、機器に残っています。",
        "{count} reports that were refused lie on the machine.",
    ),
    "warn_stored": _(
        "この機器は倉庫に保管中です。使うときは、`secmon host store --back` で戻してください。",
        "This machine is in storage. Say `secmon host store --back` when it is used again.",
    ),
    "warn_retired": _("この機器は {when} に廃止されました。", "This machine was retired on {when}."),
    "problems": _("対応が必要な項目", "To be fixed"),
    "no_problems": _("対応が必要な項目はありません。", "Nothing to fix."),
    "no_known_problems": _(
        "確認できた範囲では、対応が必要な項目はありません。下の確認できない項目もご覧ください。",
        "Nothing to fix among what could be checked. See also what could not be checked, below.",
    ),
    "unknowns": _("確認できない項目", "Unknown"),
    "passes": _("適合している項目", "Passing"),
    "not_applicables": _("対象外の項目", "Not applicable"),
    "since": _("{when} から", "since {when}"),
    "items_found": _("該当 {count} 件", "{count} found"),
    "item": _("対象", "Item"),
    "evidence": _("確認した内容", "Evidence"),
    "found_on": _("検出日", "Found"),
    "due": _("対応期限", "Due"),
    "overdue": _("期限超過", "overdue"),
    "unconfirmed": _(
        "以前の指摘が残っていますが、現在の状態は確認できません。", "Found earlier; whether it is still so is unknown."
    ),
    "why": _("なぜ必要か", "Why it matters"),
    "fix": _("対応の手順", "How to fix it"),
    "reason": _("理由", "Reason"),
    "no_reason": _("理由は記録されていません。", "No reason is recorded."),
    "more_items": _("ほか {count} 件", "and {count} more"),
    "history": _("経過（90 日間）", "Last 90 days"),
    "history_of": _("{check} の経過（90 日間）", "{check}: last 90 days"),
    "strip_note": _("帯は直近 90 日間の判定です（右端が現在）。", "Strips show the last 90 days; now is at the right."),
    "about_check": _("この項目について", "About this check"),
    "not_judged": _("まだ報告がなく、判定できません。", "It has never reported, so nothing can be said."),
    "from": _("開始", "From"),
    "to": _("終了", "To"),
    "answer": _("判定", "Answer"),
    "cause": _("変化の理由", "Cause"),
    "ongoing": _("継続中", "present"),
    "older_left_out": _("これより前の {count} 件は省いています。", "{count} earlier ones are left out."),
    "cause_machine": _("機器の変化", "the machine changed"),
    "cause_time": _("時間の経過", "time passed"),
    "cause_rules": _("判定基準の変更", "the rules changed"),
    "cause_attributes": _("登録内容の変更", "its attributes changed"),
    "cause_baseline": _("最初の判定", "first judgement"),
    "facts": _("報告された内容", "Reported facts"),
    "no_facts": _("まだ内容が届いていません。", "Nothing has arrived yet."),
    "section_absent": _("この機器にはありません", "Not on this machine"),
    "section_denied": _("権限が足りず読み取れません", "No permission to read"),
    "section_failed": _("読み取りに失敗しました", "Reading failed"),
    "section_unsupported": _("この OS では未対応です", "Not supported on this system"),
    "section_undecodable": _("この版の secmon では読めない形式です", "Of a shape that this version cannot read"),
    "section_unknown": _("不明な状態です", "Of an unknown status"),
    "collected": _("{when} 取得", "read {when}"),
    "undetermined": _("この機器から報告のない項目", "Not determined"),
    "rows": _("{count} 件", "{count} rows"),
    "rows_left_out": _(
        "先頭の {shown} 件を表示しています（全 {count} 件）。すべては API で取得できます。",
        "The first {shown} of {count}; the API gives all of them.",
    ),
    # a check
    "frameworks": _("対応する基準", "Frameworks"),
    "adapted": _("役場で変更したところ", "What the office changed"),
    "adapted_own": _("役場が独自に加えた項目", "A check of the office's own"),
    "limit": _("基準値", "Limit"),
    "switched_off": _("調べない", "Not asked"),
    "unverified": _("番号は本文と未照合", "number not compared with the text"),
    "threats": _("関係する脅威", "Threats"),
    # frameworks and what people attest
    "guides": _("基準と確認", "Guidelines"),
    "guides_note": _(
        "点検と人の確認が、基準のどの項目に関わるかを示します。すべて適合でも、基準への適合を証明するものではありません。",
        "Which controls of a guideline the checks and people's answers bear on; none of it proves that one is met.",
    ),
    "framework": _("基準", "Guideline"),
    "listed": _("挙げている項目：{listed}", "Listed: {listed}"),
    "controls": _("項目", "Controls"),
    "means_checks": _("点検", "Checks"),
    "means_hand": _("人の確認のみ", "By hand alone"),
    "means_none": _("手段なし", "Not covered"),
    "not_covered": _("この項目を確かめる点検も質問もありません。", "Neither a check nor a question bears on it."),
    "of_checks": _("点検の結果", "Results of checks"),
    "of_hand": _("人の確認の状況", "What is attested"),
    "kept_yes": _("できている", "yes"),
    "kept_not_yes": _("一部・できていない", "partly, no"),
    "kept_overdue": _("期限切れ", "overdue"),
    "kept_missing": _("未確認", "not attested"),
    "due_soon": _("まもなく期限", "due soon"),
    "by_hand": _("人による確認", "Attested by hand"),
    "by_hand_note": _(
        "機械では確かめられない事項です。`secmon attest add` で登録します。",
        "What no machine can look at; entered with `secmon attest add`.",
    ),
    "question": _("確認する事項", "Subject"),
    "given_answer": _("回答", "Answer"),
    "attested_by": _("確認者", "By"),
    "answer_yes": _("できている", "yes"),
    "answer_partly": _("一部できている", "partly"),
    "answer_no": _("できていない", "no"),
    "threat": _("脅威", "Threat"),
    "checks_count": _("点検 {count} 件", "{count} checks"),
    "no_checks": _("当てはまる点検はありません", "no check bears on it"),
    "list_unverified": _("順位と名称は公表資料と未照合", "ranks not compared with the published list"),
    "failing_machines": _("対応が必要な機器", "Machines that fail"),
    "unknown_machines": _("確認できない機器", "Machines without an answer"),
    "no_failing": _("対応が必要な機器はありません。", "No machine fails this check."),
    "more_machines": _("ほか {count} 台", "and {count} more"),
    # the ledger
    "ledger": _("台帳との差", "Ledger and machines"),
    "ledger_note": _(
        "台帳の {count} 台と、報告している機器を突き合わせた結果です。",
        "The ledger's {count} rows against the machines that report.",
    ),
    "no_ledger": _(
        "情報資産台帳が取り込まれていません。"
        "`secmon ledger import 台帳ファイル` で取り込むと、ここに差が表示されます。",
        "No asset ledger was taken in. After `secmon ledger import FILE` the differences stand here.",
    ),
    "ledger_silent": _("台帳にあるのに一度も報告のない機器", "In the ledger, never reported"),
    "no_ledger_silent": _(
        "報告がないまま猶予期間を過ぎた機器はありません。", "No machine of the ledger has been silent for too long."
    ),
    "ledger_waiting": _(
        "ほかに、報告を待っている機器が {count} 台あります（台帳への記載から {days} 日間は指摘しません）。",
        "{count} more are awaited (no finding within {days} days of their entry).",
    ),
    "entered_on": _("台帳への記載日", "Entered"),
    "ledger_unlisted": _("報告しているのに台帳にない機器", "Reporting, not in the ledger"),
    "no_ledger_unlisted": _(
        "報告している機器は、すべて台帳にあります。", "Every machine that reports is in the ledger."
    ),
    "ledger_older": _("最後に取り込んだ台帳にない資産", "Not in the ledger that was taken in last"),
    "ledger_older_note": _(
        "台帳全体を 1 つのファイルにしている場合は、`secmon ledger import 台帳ファイル --complete` で取り込むと、"
        "台帳から外れたものとして扱われます。",
        "If one file holds the whole ledger, `secmon ledger import FILE --complete` takes them off.",
    ),
    # exceptions and disputes
    "exceptions": _("例外措置", "Exceptions"),
    "exceptions_note": _(
        "承認を受けて期限まで受け入れている問題です。期限を過ぎると、自動で「要対応」に戻ります。",
        "Problems that were accepted until a day; after that they need action again by themselves.",
    ),
    "approved": _("承認された例外措置", "Approved exceptions"),
    "no_exceptions": _("有効な例外措置はありません。", "No exception is in force."),
    "disputes": _("誤検知として見直し中のもの", "Disputed answers"),
    "over": _("終わったもの", "Over"),
    "show_over": _("一覧を開く", "Show"),
    "number": _("登録番号", "Number"),
    "checked": _("点検項目", "Check"),
    "scope": _("対象の機器", "Machines"),
    "all_machines": _("すべての機器", "All machines"),
    "exception_reason": _("理由・代替策", "Reason"),
    "measure": _("代替策", "Instead"),
    "approver": _("承認者", "Approved by"),
    "until": _("期限", "Until"),
    "until_day": _("{when} まで", "until {when}"),
    "covers": _("該当する指摘", "Findings"),
    "taken_back": _("{when} に終了", "ended {when}"),
    "begins": _("{when} から", "from {when}"),
    "excepted_answers": _("例外措置を受けている項目", "Excepted"),
    "excepted_machines": _("例外措置を受けている機器", "Excepted machines"),
    "cover_exception": _("例外措置", "exception"),
    "cover_dispute": _("誤検知として見直し中", "disputed"),
    "acknowledged": _("確認済み", "acknowledged"),
    "assigned": _("担当", "Owner"),
    # sign-in and errors
    "signed_out_title": _("サインインが必要です", "Please sign in"),
    "signed_out_intro": _(
        "この画面は、担当者だけが開けるようになっています。", "These pages are for those who look after the machines."
    ),
    "signed_out_step_1": _(
        "secmon が動いているコンピューターで、次のコマンドを実行します。", "On the computer that runs secmon, run:"
    ),
    "signed_out_step_2": _(
        "表示されたリンクを、このブラウザーで開きます。", "Open the link that it prints in this browser."
    ),
    "signed_out_note": _(
        "リンクは {minutes} 分間有効で、使えるのは 1 回だけです。サインインは {hours} 時間続きます。",
        "A link works once, within {minutes} minutes. You stay signed in for {hours} hours.",
    ),
    "link_title": _("サインイン", "Sign in"),
    "link_intro": _("下のボタンを押すと、この画面を使えるようになります。", "Press the button to open the console."),
    "link_button": _("サインインする", "Sign in"),
    "link_gone_title": _("このリンクは使えません", "This link no longer works"),
    "link_gone_intro": _(
        "リンクは期限が切れたか、すでに使われています。新しいリンクを作ってください。",
        "It has expired or was already used. Please make a new one.",
    ),
    "error_404": _("ページが見つかりません", "Page not found"),
    "error_404_text": _(
        "アドレスが違うか、機器や項目がなくなった可能性があります。",
        "The address is wrong, or the machine or check is gone.",
    ),
    "error_421": _("この名前では開けません", "Not under this name"),
    "error_421_text": _(
        "アドレス欄の名前が、この画面に設定された名前と違います。IP アドレスか、設定した名前で開いてください。",
        "The name in the address bar is not one of this console. Use its IP address or its configured name.",
    ),
    "error_503": _("ただいま利用できません", "Not available at the moment"),
    "error_503_text": _(
        "データベースに接続できません。しばらくしてからもう一度開いてください。",
        "The database cannot be reached. Please try again in a while.",
    ),
    "error_400": _("入力を確認してください", "Please check the address"),
    "error_400_text": _("アドレスに正しくない値が含まれています。", "The address holds a value that is not right."),
    "error_other": _("表示できませんでした", "This could not be shown"),
    "error_other_text": _(
        "問題が続くときは、secmon のログを確認してください。", "If it happens again, look into secmon's log."
    ),
    "back_home": _("機器の一覧へ", "To the machines"),
}
