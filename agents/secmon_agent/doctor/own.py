"""The agent's own house: rights, enrollment, key, another one at work, what waits, room on the disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from secmon_agent import clone, durable, invited, machine
from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.errors import AgentError, StorageError
from secmon_agent.spool import Spool
from secmon_agent.words import Words

LOCKS: Final = ("running", "lock")
"""Held by the one that stays, and by whoever reports at this moment."""
_LATE_INTERVALS: Final = 3
_NOTICEABLE: Final = timedelta(hours=2)
_SPARE_BYTES: Final = 64 << 20
_SCARCE_BYTES: Final = 1 << 30


def rights(look: Look) -> Iterator[Finding]:
    title = Words(ja="実行の権限", en="Rights")
    if look.host.privileged:
        said = Words(ja="管理者の権限で点検しています。", en="This check runs with full rights.")
        yield Finding(id="rights", mark="ok", title=title, said=said)
        return
    how = (
        Words(
            ja="「管理者として実行」したコマンド プロンプトで、もう一度実行してください。",
            en="Run it again from a prompt that was opened as administrator.",
        )
        if sys.platform == "win32"
        else Words(ja="sudo secmon-agent doctor で、もう一度実行してください。", en="Run: sudo secmon-agent doctor")
    )
    said = Words(
        ja="管理者の権限がないため、確かめられない項目があります。",
        en="Without full rights some things cannot be told.",
    )
    yield Finding(id="rights", mark="note", title=title, said=said, step=how)


def enrollment(look: Look) -> Iterator[Finding]:
    title = Words(ja="登録", en="Enrollment")
    where = look.where
    if where is None and (look.state_dir / clone.NOTE_FILE).exists():
        yield _copied(title, waits=invited.waits(look.state_dir))
    elif where is None:
        said = Words(
            ja="この機器は、まだ secmon に登録されていません。", en=f"This machine is not enrolled ({look.state_dir})."
        )
        step = Words(
            ja="secmon のサーバーで secmon enroll を実行し、表示された登録文字列をここで使ってください："
            "secmon-agent enroll 登録文字列",
            en="Run `secmon enroll` on the collector, then here: secmon-agent enroll STRING",
        )
        yield Finding(id="enrollment", mark="action", title=title, said=said, step=step)
    elif where.status == "pending":
        why = f"（{where.reason}）" if where.reason else ""
        said = Words(
            ja=f"{where.address} で、登録の承認を待っています{why}。",
            en=f"Waits for approval at {where.address}" + (f" ({where.reason})." if where.reason else "."),
        )
        step = Words(
            ja="secmon のサーバーで secmon enrollment list と secmon enrollment approve を実行し、承認してください。",
            en="Approve it on the collector: secmon enrollment list, then secmon enrollment approve ID",
        )
        yield Finding(id="enrollment", mark="action", title=title, said=said, step=step)
    else:
        said = Words(ja=f"{where.address} に登録済みです。", en=f"Enrolled at {where.address}.")
        yield Finding(id="enrollment", mark="ok", title=title, said=said)


def _copied(title: Words, *, waits: bool) -> Finding:
    said = Words(
        ja="この機器は、別の機器のディスクイメージから作られた複製です。元の機器と同じ鍵を使っていたため、"
        "その鍵を使うのをやめ、報告を止めました。",
        en="This machine is a copy of another one. Both used one key, so it was set aside here, and reports stopped.",
    )
    step = Words(
        ja="secmon のサーバーで secmon enroll を実行し、表示された新しい登録文字列をここで使ってください："
        "secmon-agent enroll 登録文字列（元の機器は、そのままで構いません）",
        en="Run `secmon enroll` on the collector, then here: secmon-agent enroll STRING. The other machine can stay as "
        "it is.",
    )
    if waits:
        step = Words(
            ja="登録文字列が置いてあるので、サーバーにつながりしだい自動で登録し直します。お待ちください。",
            en="An enrollment string waits here: it enrolls anew as soon as the collector can be reached.",
        )
    return Finding(id="enrollment", mark="action", title=title, said=said, step=step)


def key(look: Look) -> Iterator[Finding]:
    """A key that cannot be read has its own finding from the reading itself (`main.unreadable`)."""
    if look.where is None:
        return
    title = Words(ja="署名の鍵", en="Signing key")
    if look.key is not None:
        said = Words(ja="鍵を読み取れました。", en="The key can be read.")
        yield Finding(id="key", mark="ok", title=title, said=said)
        return
    said = Words(
        ja=f"鍵が {look.state_dir} にありません。報告に署名できません。",
        en=f"There is no key in {look.state_dir}: reports cannot be signed.",
    )
    step = Words(
        ja="新しい登録文字列で登録し直してください：secmon-agent enroll 登録文字列",
        en="Enroll again with a new enrollment string: secmon-agent enroll STRING",
    )
    yield Finding(id="key", mark="action", title=title, said=said, step=step)


def at_work(look: Look) -> Iterator[Finding]:
    """Whether a resident agent is there is the service's matter; here it is said who holds the folder."""
    title = Words(ja="動作中のエージェント", en="Agent at work")
    held = [_held(look.state_dir / name) for name in LOCKS]
    if True in held:
        said = Words(ja="ほかの secmon-agent が、いま動いています。", en="Another secmon-agent is at work now.")
        yield Finding(id="at_work", mark="ok", title=title, said=said)
    elif None in held:
        said = Words(ja="動いているかどうかを確かめる権限がありません。", en="There is no right to tell.")
        yield Finding(id="at_work", mark="unknown", title=title, said=said)
    else:
        said = Words(ja="いまは動いていません。", en="None is at work now.")
        yield Finding(id="at_work", mark="ok", title=title, said=said)


def _held(path: Path) -> bool | None:
    """None without the right to look. A lock that is not there is not made."""
    try:
        if not path.exists():
            return False
        with durable.exclusive(path):
            return False
    except (StorageError, OSError):
        return None
    except AgentError:
        return True


def acknowledged(look: Look) -> Iterator[Finding]:
    """The collector's last answer to a report."""
    if look.where is None or look.where.status != "enrolled":
        return
    title = Words(ja="最後に届いた報告", en="Last report that arrived")
    step = Words(
        ja="secmon-agent once を実行してください。届かない理由が 1 行で表示されます"
        "（自動の報告が動いているときは、先に止めます）。",
        en="Run `secmon-agent once` (stop the service first): it says in one line why nothing arrives.",
    )
    at = None if look.known is None else look.known.last_ack_at
    if look.known is None or at is None:
        said = Words(ja="まだ一度も届いていません。", en="None has arrived yet.")
        yield Finding(id="acknowledged", mark="action", title=title, said=said, step=step)
        return
    interval_s = look.known.interval_s or look.settings.interval_s
    age = look.now - at
    late = age > max(timedelta(seconds=_LATE_INTERVALS * interval_s), _NOTICEABLE)
    when = at.astimezone().strftime("%Y-%m-%d %H:%M")
    said = Words(ja=f"{when}（{_ago(age, 'ja')}）", en=f"{when} ({_ago(age, 'en')})")
    yield Finding(
        id="acknowledged", mark="action" if late else "ok", title=title, said=said, step=step if late else None
    )


def _ago(age: timedelta, language: str) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    for size, ja, en in ((1440, "日", "days"), (60, "時間", "hours")):
        if minutes >= 2 * size:
            return f"{minutes // size} {ja}前" if language == "ja" else f"{minutes // size} {en} ago"
    return f"{minutes} 分前" if language == "ja" else f"{minutes} minutes ago"


def waiting(look: Look) -> Iterator[Finding]:
    """What waits to be sent, and what the collector has refused for good."""
    if look.key is None:
        return
    title = Words(ja="送信待ちの報告", en="Reports that wait")
    spool = Spool(look.state_dir, bytes(look.key.verify_key), max_bytes=look.settings.spool_max_bytes, max_age_s=0)
    try:
        number, size, refused = len(spool.names()), spool.size_bytes(), spool.rejected()
    except (StorageError, OSError):
        said = Words(ja="読み取る権限がありません。", en="There is no right to look.")
        yield Finding(id="waiting", mark="unknown", title=title, said=said)
        return
    said = Words(ja=f"{number} 件（{-(-size // 1024)} KiB）", en=f"{number} ({-(-size // 1024)} KiB)")
    step = Words(
        ja="secmon のサーバーにつながれば、自動で送られます。つながらない理由は、下の項目を見てください。",
        en="They leave by themselves once the collector can be reached; see below why it is not.",
    )
    yield Finding(id="waiting", mark="note" if number > 1 else "ok", title=title, said=said,
                  step=step if number > 1 else None)  # fmt: skip
    if refused:
        said = Words(
            ja=f"サーバーが受け取らなかった報告が {refused} 件あります。",
            en=f"The collector refused {refused} reports.",
        )
        step = Words(
            ja="エージェントとサーバーの版が離れていないか、secmon の担当者が確かめてください。",
            en="Compare the versions of agent and collector.",
        )
        yield Finding(
            id="refused", mark="note", title=Words(ja="拒否された報告", en="Refused reports"), said=said, step=step
        )


def disk(look: Look) -> Iterator[Finding]:
    title = Words(ja="ディスクの空き", en="Room on the disk")
    folder = next((it for it in (look.state_dir, *look.state_dir.parents) if it.is_dir()), Path(look.state_dir.anchor))
    free = machine.vitals(folder).get("disk_free_bytes")
    if free is None:
        said = Words(ja="読み取れませんでした。", en="It could not be read.")
        yield Finding(id="disk", mark="unknown", title=title, said=said)
        return
    short = free < look.settings.spool_max_bytes + _SPARE_BYTES
    mib = int(free) >> 20
    said = Words(ja=f"{mib:,} MiB（{folder}）", en=f"{mib:,} MiB ({folder})")
    step = Words(ja="不要なファイルを消して、空きを増やしてください。", en="Make room: remove files that nobody needs.")
    scarce = free < _SCARCE_BYTES
    yield Finding(
        id="disk", mark="action" if short else "note" if scarce else "ok", title=title, said=said,
        step=step if scarce else None,
    )  # fmt: skip
