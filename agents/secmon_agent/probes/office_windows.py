"""Office from Click-to-Run: which version, and where its updates come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Office
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.registry import HKLM, Value, text

_CONFIGURATION: Final = HKLM + r"\SOFTWARE\Microsoft\Office\ClickToRun\Configuration"
_CHANNELS: Final = {
    "492350f6-3a01-4f97-b9c0-c7c6ddf67d60": "current",
    "64256afe-f5d9-4f86-8936-8840a6a4f5be": "current-preview",
    "55336b82-a18d-4dd6-b5f6-9e5095c314a6": "monthly-enterprise",
    "7ffbc6bf-bc32-4f92-8982-f9dd17fd3114": "semi-annual",
    "b8f9b850-328d-4355-9145-c59439a0c4cf": "semi-annual-preview",
    "5440fd1f-7ecb-4221-8110-145efaa6372f": "beta",
    "f2e724c1-748f-4b47-8fb8-8e0d210e9208": "ltsc-2019",
    "5030841d-c919-4594-8d2d-84ae4f96e58e": "ltsc-2021",
    "7983bac0-e531-40cf-be00-fd24fe66619c": "ltsc-2024",
}
"""As Microsoft publishes them."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def office(host: Host) -> Office | UnsetType:
    """UNSET where Click-to-Run has installed nothing."""
    values = values_if_any(host, _CONFIGURATION)
    version = text(values, "VersionToReport")
    if version is None:
        return UNSET
    enabled = (text(values, "UpdatesEnabled") or "").lower()
    products = [name.strip() for name in (text(values, "ProductReleaseIds") or "").split(",") if name.strip()]
    return Office(
        version=version,
        channel=_channel(values),
        products=tuple(products) or UNSET,
        updates_enabled={"true": True, "false": False}.get(enabled, UNSET),
    )


def _channel(values: Mapping[str, Value]) -> str | UnsetType:
    """The last part of a URL is the channel's GUID; UpdateChannel is what policy or the person chose later."""
    for name in ("UpdateChannel", "CDNBaseUrl"):
        found = _GUID.search(text(values, name) or "")
        if found:
            return _CHANNELS.get(found[0].lower(), found[0].lower())
    return UNSET
