"""How a cycle went, and what a child process says of it to the supervisor. Imports little: the supervisor keeps it in
memory."""

from __future__ import annotations

from msgspec import Struct

ENROLLED = "enrolled at "


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How handing over went."""

    delivered: int = 0
    rejected: int = 0
    waiting: int = 0
    dropped: int = 0
    trouble: str = ""
    """Why the rest waits; empty when nothing does."""
    retry_after_s: float | None = None
    wanted: bool = False
    """The collector asked for data."""
    forked: bool = False
    """The collector knows the stream otherwise; a new one has been drawn."""
    paused: str = ""
    """Why nothing was looked at this time."""
    enrolled: str = ""
    """Address of the collector that took this machine in just before."""
    renewed: int = 0
    """Keys that took the place of the one before."""
    unchanged: str = ""
    """Why the key or the CA, which is to be changed, was not; the reports are as well as ever."""

    def line(self) -> str:
        """The outcome for a journal or a terminal."""
        parts = [f"{number} {what}" for number, what in self._others() if number]
        if parts or self.delivered or not self.trouble:
            parts.insert(0, f"{self.delivered} delivered")
        line = ": ".join(part for part in (", ".join(parts), self._remark()) if part)
        return f"{ENROLLED}{self.enrolled}; {line}" if self.enrolled else line

    def _remark(self) -> str:
        return self.trouble or self.paused or self.unchanged

    def _others(self) -> list[tuple[int, str]]:
        return [
            (self.rejected, "refused by the collector"),
            (self.dropped, "dropped as too many or too old"),
            (self.waiting, "waiting"),
            (self.renewed, "key changed"),
        ]


def both(first: Outcome, then: Outcome) -> Outcome:
    return Outcome(
        delivered=first.delivered + then.delivered,
        rejected=first.rejected + then.rejected,
        dropped=first.dropped + then.dropped,
        waiting=then.waiting,
        trouble=then.trouble,
        retry_after_s=then.retry_after_s,
        wanted=first.wanted or then.wanted,
        forked=first.forked or then.forked,
        enrolled=first.enrolled or then.enrolled,
        renewed=first.renewed + then.renewed,
        unchanged=then.unchanged,
    )


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a turn's process prints as JSON."""

    outcome: Outcome
    interval_s: int
    exit_code: int = 0
    """Not 0 where the agent could not even be opened: its settings are wrong, or it is not enrolled."""
