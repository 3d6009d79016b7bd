"""Licences for Extended Security Updates of Windows 10."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from secmon_agent.questions import wmi

YEARS: Final = {
    "f520e45e-7413-4a34-a497-d2765967d094": 1,
    "1043add5-23b1-4afb-9a0f-64343c8f3f8d": 2,
    "83d49986-add3-41d7-ba33-87c7bfb5c0fb": 3,
}
"""Activation ids, as Microsoft publishes them."""


class Licence(Struct, frozen=True, kw_only=True):
    year: int
    status: int
    """LicenseStatus: 1 licensed."""


class Esu(Struct, frozen=True, kw_only=True):
    licences: tuple[Licence, ...]
    """Those that this Windows knows, licensed or not."""


def answer() -> Esu:
    wanted = " OR ".join(f"ID='{id_}'" for id_ in YEARS)
    rows = wmi.query(r"root\cimv2", "SoftwareLicensingProduct", ["ID", "LicenseStatus"], wanted)
    known = [(YEARS.get(str(row.get("ID", "")).lower()), row.get("LicenseStatus")) for row in rows]
    return Esu(
        licences=tuple(Licence(year=year, status=status) for year, status in known if year and status is not None)
    )
