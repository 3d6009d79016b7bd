"""Questions that a section can do without, asked once a day: each costs a process."""

from __future__ import annotations

from typing import TypeVar

from secmon_agent.host import Host

T = TypeVar("T")


def told(host: Host, question: str, kind: type[T], *, timeout_s: float = 30.0) -> T | None:
    """Today's answer, or None where there is none: then the rest of the section stands without it."""
    today = host.now().date().isoformat()
    try:
        return host.remembered(f"asked.{question}", today, kind, lambda: host.ask(question, kind, timeout_s=timeout_s))
    except Exception:  # noqa: BLE001 - denied, unsupported or failed: the fact is left out
        return None
