"""The areas of judgement: the one list of them, in the order in which people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secmon.evaluate.model import Text

AREAS: Final[Mapping[str, Text]] = {
    "patch": Text(ja="更新プログラム", en="Updates"),
    "support": Text(ja="サポート期限", en="End of support"),
    "antimalware": Text(ja="ウイルス対策", en="Antivirus"),
    "ports": Text(ja="通信ポート", en="Open ports"),
    "access": Text(ja="遠隔接続", en="Remote access"),
    "accounts": Text(ja="アカウント", en="Accounts"),
    "password": Text(ja="パスワード", en="Passwords"),
    "screen_lock": Text(ja="画面ロック", en="Screen lock"),
    "encryption": Text(ja="暗号化", en="Encryption"),
    "removable_media": Text(ja="外部記憶媒体", en="Removable media"),
    "firewall": Text(ja="ファイアウォール", en="Firewall"),
    "services": Text(ja="サービス", en="Services"),
    "logging": Text(ja="ログ", en="Logging"),
    "time": Text(ja="時刻同期", en="Time"),
    "boot": Text(ja="起動", en="Boot"),
    "network": Text(ja="ネットワーク", en="Network"),
    "zone": Text(ja="系統", en="Zone"),
}
