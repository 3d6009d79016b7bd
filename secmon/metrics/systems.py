"""Operating systems of the machines, as their section `os` tells."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Struct

from secmon.metrics.labels import UNKNOWN
from secmon.metrics.view import View
from secmon_agent import facts


class System(Struct, frozen=True, kw_only=True):
    id: str = UNKNOWN
    """`debian`, `windows`, …"""
    version: str = UNKNOWN
    family: str = UNKNOWN
    build: str = ""
    """Windows: CurrentBuildNumber."""
    edition: str = ""


_UNDETERMINED: Final = System()


def systems(view: View) -> Mapping[uuid.UUID, System]:
    """Of every machine in use; what could not be determined is `unknown`."""
    readings = view.readings("os", _brief)
    return {
        host_id: readings[host_id].brief or _UNDETERMINED if host_id in readings else _UNDETERMINED
        for host_id in view.fleet.machines
    }


def _brief(section: facts.Section) -> System:
    assert isinstance(section, facts.Os)  # noqa: S101 — decode_facts("os", …) gives nothing else
    return System(
        id=UNKNOWN if section.id is UNSET else section.id,
        version=UNKNOWN if section.version is UNSET else section.version,
        family=UNKNOWN if section.family is UNSET else section.family,
        build="" if section.build is UNSET else str(section.build),
        edition="" if section.edition is UNSET else section.edition,
    )
