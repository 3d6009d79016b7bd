"""The nouns of alerting: a rule, what happened, what was told before, and the drafts that follow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, time
from typing import Literal

from msgspec import Struct

from secmon.evaluate.model import Language, Text

Kind = Literal["problem", "recovery", "flapping", "new_machines", "rules"]
"""What a mail is about."""
Urgency = Literal["immediate", "summary", "morning"]

MORNING = time(8, 30)
"""At the office: what is no emergency waits until then."""
FLAPPING_CHANGES = 6
"""More changes than this of the same check and item on one machine within 24 h, and each of them is no longer news."""


class Caution(Struct, frozen=True, kw_only=True):
    """What must not be done while a problem of these areas is open."""

    areas: tuple[str, ...]
    text: Text


class AlertRule(Struct, frozen=True, kw_only=True):
    """A file of `rules/alerts/`. The first rule, by file name, that matches a transition decides upon it."""

    id: str
    events: tuple[str, ...]
    causes: tuple[str, ...]
    severities: tuple[str, ...] = ()
    """Empty: any, also none."""
    zones: tuple[str, ...] = ()
    """Empty: every zone, also none."""
    checks: tuple[str, ...] = ()
    """Empty: every check."""
    urgency: Urgency
    """`immediate`: a mail for each check (or machine) that changed; `summary`: one mail for all that changed;
    `morning`: the same, but not before MORNING of a working day."""
    mails_per_hour: int
    """Mails of one kind within an hour; what exceeds it waits and is then told in one mail."""
    recipients: tuple[str, ...] = ()
    """Empty: `mail.recipients` of the configuration."""
    language: Language | None = None
    """None: `office.language` of the configuration."""
    cautions: tuple[Caution, ...] = ()
    frameworks: tuple[str, ...] = ()
    """Frameworks whose controls a mail names, in this order; empty: none."""

    def matches(self, transition: Transition) -> bool:
        return (
            transition.event in self.events
            and transition.cause in self.causes
            and (not self.severities or transition.severity in self.severities)
            and (not self.zones or transition.zone in self.zones)
            and (not self.checks or transition.check_id in self.checks)
        )


class Transition(Struct, frozen=True, kw_only=True):
    """A row of `transitions` that nobody decided upon yet."""

    transition_id: int
    host_id: uuid.UUID | None
    """None: of the whole collector, or of a row of the ledger; then `item` is its asset number."""
    event: str
    cause: str
    check_id: str = ""
    item: str = ""
    finding_id: uuid.UUID | None = None
    severity: str = ""
    zone: str = ""
    evidence: str = ""
    observed_at: datetime

    @property
    def place(self) -> Place:
        return (self.host_id, self.check_id)


Place = tuple[uuid.UUID | None, str]
"""Machine and check."""


class Past(Struct, frozen=True, kw_only=True):
    """What people were told before, as far as the transitions at hand need it."""

    told: frozenset[uuid.UUID] = frozenset()
    """Findings whose opening was told and whose recovery was not."""
    told_places: frozenset[Place] = frozenset()
    """Where these are: the recovery is told when the last problem of the check is gone, told or not."""
    unresolved: Mapping[Place, frozenset[uuid.UUID]] = {}
    """All that is open there now, also what was never told one by one (found at first sight, or by new rules)."""
    flips: Mapping[Place, int] = {}
    """Changes within 24 h, of the item that changed most; those at hand included."""
    flapping_told: frozenset[Place] = frozenset()
    """Told within 24 h that they flap."""
    mails: Mapping[tuple[str, Kind], int] = {}
    """Mails within the last hour by rule and kind."""
    covered: frozenset[uuid.UUID] = frozenset()
    """Findings that are excepted or disputed now: nobody is alarmed about them."""
    resolved: frozenset[uuid.UUID] = frozenset()
    """Findings among those at hand that are resolved by now: their opening may have waited for the morning."""
    office_hours: bool = True
    """It is a working day, and MORNING is over."""
    rejudging: bool = False
    """Machines are being judged by new rules; what that changes is told when it is complete."""


class Draft(Struct, frozen=True, kw_only=True):
    """A mail that is to be written, about these transitions."""

    rule: AlertRule
    kind: Kind
    group: str
    """Begins with the kind; with `window` it makes a repeat recognisable."""
    transitions: tuple[Transition, ...]

    @property
    def window(self) -> str:
        return str(max(transition.transition_id for transition in self.transitions))


class Decision(Struct, frozen=True, kw_only=True):
    """Transitions that are in none of the three wait: the mails of this hour are used up, or something flaps."""

    drafts: tuple[Draft, ...] = ()
    silent: frozenset[int] = frozenset()
    """Nobody needs to be told."""
    suppressed: frozenset[int] = frozenset()
    """Somebody would be told, were it not the same again and again."""
