"""Which profile each stored machine is of. Only its section `os` is read for it, and what the office says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.evaluate.adapt import Profile
from secmon.evaluate.ruleset import OS_SECTION, RuleSet
from secmon.evaluate.sections import Stored, read_sections
from secmon.store.schema import section_versions


def profiles_of(
    connection: Connection, rules: RuleSet, attributes: Mapping[uuid.UUID, Mapping[str, str]]
) -> dict[uuid.UUID, Profile | None]:
    """By machine, of those with these attributes."""
    rows = connection.execute(
        sa.select(
            section_versions.c.host_id, section_versions.c.status, section_versions.c.reason, section_versions.c.data
        ).where(section_versions.c.section == OS_SECTION, section_versions.c.observed_to.is_(None))
    )
    systems = {row.host_id: (row.status, row.reason, row.data) for row in rows}
    return {host: profile_of(rules, said, systems.get(host)) for host, said in attributes.items()}


def profile_of(rules: RuleSet, attributes: Mapping[str, str], system: Stored | None) -> Profile | None:
    """Of one machine; `system` is its section `os` as it is stored."""
    state = read_sections({OS_SECTION: system})[OS_SECTION] if system is not None else None
    return rules.profile_of(attributes, state.facts if state is not None else None)
