"""Web proxies of a Linux machine: what every session and the package manager are told."""

from __future__ import annotations

import re
from typing import Final

from secmon_agent.facts import Proxy
from secmon_agent.host import Host
from secmon_agent.probes import apt_conf
from secmon_agent.probes.proxy_address import proxy_address
from secmon_agent.probes.settings_files import ini

_VARIABLE: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?:https?|ftp|all)_proxy[ \t]*=[ \t]*[\"']?([^\"'\s]+)", re.MULTILINE | re.IGNORECASE
)
_APT: Final = ("acquire::http::proxy", "acquire::https::proxy")


def proxies_linux(host: Host) -> tuple[Proxy, ...]:
    """Sources: /etc/environment, apt.conf, dnf.conf. What a person's own shell sets is theirs."""
    apt = apt_conf.read(host)
    dnf = ini(host.text_if_any("/etc/dnf/dnf.conf") or "").get("main", {})
    found = (
        Proxy(source="environment", addresses=_plain(_VARIABLE.findall(host.text_if_any("/etc/environment") or ""))),
        Proxy(source="apt", addresses=_plain([apt.get(name, "") for name in _APT])),
        Proxy(source="dnf", addresses=_plain([dnf.get("proxy", "")])),
    )
    return tuple(proxy for proxy in found if proxy.addresses)


def _plain(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for text in texts if (found := proxy_address(text))))
