"""The table of probes: one function per section, by the family of the machine.

A section that is not in the table of a family is not reported there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from secmon_agent.facts import Family, Section
from secmon_agent.host import Host

Probe = Callable[[Host], Section]


def probes_for(family: Family) -> Mapping[str, Probe]:
    """Imports only what this family needs: an agent's cycle pays for each module."""
    if family == "windows":
        from secmon_agent.probes.table_windows import PROBES
    else:
        from secmon_agent.probes.table_linux import PROBES
    return PROBES


FAMILIES: Final[tuple[Family, ...]] = ("linux", "windows")
