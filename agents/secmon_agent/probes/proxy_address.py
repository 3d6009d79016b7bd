"""Addresses of proxies, without what may stand beside them."""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?"


def proxy_address(text: str) -> str:
    """`host:port` of a proxy's address or URL; empty where it has another form. Whatever stands before an @ is
    somebody's name and password, even where it holds a slash."""
    rest = text.strip().rpartition("://")[2].rpartition("@")[2]
    found = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return found.lower() if re.fullmatch(_PLAIN, found) else ""


def proxy_list(text: str) -> tuple[str, ...]:
    """Addresses of `proxy:8080` or `http=proxy:8080;https=proxy:8443`."""
    parts = (re.sub(r"^[a-z]+=", "", part) for part in re.split(r"[;\s]+", text))
    return tuple(dict.fromkeys(found for part in parts if (found := proxy_address(part))))
