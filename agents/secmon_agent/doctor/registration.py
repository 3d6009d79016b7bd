"""What the collector knows of this machine's key: whether it takes its reports, and if not, why and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from secmon_agent import keys, rotation, transport, wire
from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.http1 import Connection, HttpError
from secmon_agent.words import Words

PATH: Final = "/v1/key"
_TITLE: Final = Words(ja="サーバーでの登録", en="Registration at the collector")
_WHY: Final = {
    "revoked": Words(
        ja="この機器の鍵は、サーバーで失効しています。報告は受け取られません。",
        en="The collector has revoked this machine's key and refuses its reports.",
    ),
    "ended": Words(
        ja="この機器の鍵は、新しい鍵と交替して使えなくなっています。古いバックアップやディスクイメージから戻した機器か、"
        "その複製で起こります。",
        en="A newer key took the place of this one, as on a machine that was given back an older disk, or on a copy.",
    ),
    "retired": Words(
        ja="この機器は、サーバーで廃棄の扱いになっています。報告は受け取られません。",
        en="The collector has this machine as retired and refuses its reports.",
    ),
    "unknown": Words(
        ja="サーバーは、この機器の鍵を知りません。サーバーを作り直したか、古いバックアップから戻したときに起こります。",
        en="The collector does not know this machine's key: it was set up anew, or restored from an old backup.",
    ),
}
_ENROLL: Final = Words(
    ja="サーバーで secmon enroll を実行し、表示された新しい登録文字列をここで使ってください："
    "secmon-agent enroll 登録文字列（送信待ちの報告は、その後で送られます）",
    en="Run `secmon enroll` on the collector, then here: secmon-agent enroll STRING. What waits is sent after that.",
)
_BY_ITSELF: Final = Words(
    ja="ひとつ前の鍵は登録されているので、次の報告のときに自動で直ります。お待ちください。",
    en="It knows the key before; the next report mends that by itself.",
)


def registration(look: Look, connection: Connection) -> Iterator[Finding]:
    """Nothing where the collector is of a version that does not say, or the enrollment still waits."""
    if look.where is None or look.where.status != "enrolled" or look.key is None:
        return
    status = _asked(connection, wire.key_id(bytes(look.key.verify_key)))
    before = rotation.message(look.state_dir, look.key) if status == "unknown" else None
    if before is not None and _asked(connection, before[0]) == "known":
        yield Finding(id="registration", mark="note", title=_TITLE, said=_WHY[status], step=_BY_ITSELF)
    elif status == "known":
        said = Words(ja="この機器の鍵が登録されています。", en="The collector knows this machine's key.")
        yield Finding(id="registration", mark="ok", title=_TITLE, said=said)
    elif status in _WHY:
        step = _ENROLL if status == "unknown" else _anew(look, status)
        yield Finding(id="registration", mark="action", title=_TITLE, said=_WHY[status], step=step)


def _asked(connection: Connection, key_id: bytes) -> str:
    """Empty where there is no answer that could be understood."""
    try:
        headers = {wire.KEY_ID_HEADER: key_id.hex()}
        response = connection.request("GET", PATH, headers, b"", transport.MAX_ANSWER_BYTES)
        return wire.read_key_answer(response.body).status if response.status == 200 else ""
    except (OSError, HttpError, wire.WireError):
        return ""


def _anew(look: Look, status: str) -> Words:
    """A key that came to its end is not taken again: the machine needs another."""
    file = look.state_dir / keys.KEY_FILE
    ja = f"{file} を消してから、サーバーの secmon enroll が表示する新しい登録文字列で登録し直してください："
    ja += "secmon-agent enroll 登録文字列"
    en = f"Remove {file}, then enroll with a new string (`secmon enroll` on the collector): secmon-agent enroll STRING"
    if status == "revoked":
        ja = "紛失や盗難で止めた機器でないか、まず secmon の担当者に確かめてください。使い続けてよい機器なら、" + ja
        en = f"Ask first whether it was reported lost or stolen. If it may go on: {en[0].lower()}{en[1:]}"
    return Words(ja=ja, en=en)
