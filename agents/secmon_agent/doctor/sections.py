"""What can be read of this machine, section by section, as a report would say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from secmon_agent.collect import collect
from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.words import Words

TITLES: Final[dict[str, Words]] = {
    "host": Words(ja="機器", en="Machine"),
    "os": Words(ja="OS", en="Operating system"),
    "patches": Words(ja="更新プログラム", en="Updates"),
    "ports": Words(ja="待ち受けポート", en="Open ports"),
    "firewall": Words(ja="ファイアウォール", en="Firewall"),
    "antimalware": Words(ja="ウイルス対策", en="Antivirus"),
    "interfaces": Words(ja="ネットワーク接続", en="Network interfaces"),
    "accounts": Words(ja="アカウント", en="Accounts"),
    "password_policy": Words(ja="パスワードの条件", en="Password policy"),
    "screen_lock": Words(ja="画面ロック", en="Screen lock"),
    "disk_encryption": Words(ja="ディスク暗号化", en="Disk encryption"),
    "removable_media": Words(ja="外部記憶媒体", en="Removable media"),
    "remote_access": Words(ja="遠隔接続", en="Remote access"),
    "boot": Words(ja="起動", en="Boot"),
    "time_sync": Words(ja="時刻同期", en="Time synchronisation"),
    "audit_log": Words(ja="ログ", en="Logging"),
    "services": Words(ja="サービス", en="Services"),
    "software": Words(ja="ソフトウェア", en="Software"),
    "hardening": Words(ja="OSの堅牢化", en="Hardening"),
}
"""As the collector's pages call them; one that is not here goes by its own name."""


def sections(look: Look) -> Iterator[Finding]:
    for name, section in collect(look.host).items():
        word = TITLES.get(name, Words(ja=name, en=name))
        title = Words(ja=f"読み取り「{word.ja}」", en=f"Reading: {word.en}")
        reason = f"（{section.reason}）" if section.reason else ""
        plain = f" ({section.reason})" if section.reason else ""
        step = None
        match section.status:
            case "ok":
                mark, said = "ok", Words(ja="読み取れます。", en="It can be read.")
            case "absent":
                mark, said = "ok", Words(ja=f"この機器にはありません{reason}。", en=f"Not on this machine{plain}.")
            case "denied":
                mark, said = "note", Words(ja=f"権限が足りません{reason}。", en=f"Rights are missing{plain}.")
                step = _more_rights(look)
            case "unsupported":
                mark = "note"
                said = Words(ja=f"この OS では未対応です{reason}。", en=f"Not supported on this system{plain}.")
            case _:
                mark, said = "note", Words(ja=f"読み取りに失敗しました{reason}。", en=f"Reading failed{plain}.")
                step = Words(
                    ja="secmon-agent capture で記録を作り、中身を確かめてから secmon の担当者に渡してください。",
                    en="Record it with `secmon-agent capture`, look through the recording, and hand it to whoever runs "
                    "secmon.",
                )
        yield Finding(id=f"section.{name}", mark="ok" if mark == "ok" else "note", title=title, said=said, step=step)


def _more_rights(look: Look) -> Words:
    if not look.host.privileged:
        return Words(ja="管理者の権限で、もう一度点検してください。", en="Check again with full rights.")
    return Words(
        ja="管理者の権限でも読めません。セキュリティ製品やコンテナーの制限を確かめてください。",
        en="Even full rights do not suffice: look for a security product or a container that forbids it.",
    )
