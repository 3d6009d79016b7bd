"""Day one: what is there already is taken as known, and only what is new notifies."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from secmon.alerts.silence import silence, waiting
from secmon.app import now_utc
from secmon.commands.common import actor, note, opened, say, say_json, spoken
from secmon.commands.scopes import check_zone, host_of
from secmon.config import Config
from secmon.evaluate.model import SEVERITIES
from secmon.japanese import local_date
from secmon.store import audit, followup
from secmon.store.followup import Choice, Known

_WORDS = {"high": ("高", "high"), "medium": ("中", "medium"), "low": ("低", "low")}


class _Line(Struct, frozen=True, kw_only=True):
    severity: str
    findings: int
    machines: int
    first_due: datetime
    last_due: datetime


def baseline_accept(options: Namespace, config: Config) -> int:
    check_zone(options.zone, config)
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        host_id = host_of(connection, options.host, config) if options.host else None
        known = followup.plan_baseline(connection, Choice(host_id=host_id, zone=options.zone), config, now)
        untold = waiting(connection, host_id, options.zone)
        if not options.dry_run and (known or untold):
            followup.accept_baseline(connection, known, now)
            silence(connection, untold, now)
            audit.write(
                connection, at=now, actor=actor(), action="baseline.accept", subject=options.host or options.zone or "",
                detail={"findings": len(known), "machines": _machines(known)},
            )  # fmt: skip
    lines = [line for severity in SEVERITIES if (line := _summary(severity, known))]
    if options.json:
        say_json({"dry_run": options.dry_run, "severities": lines, "unsent": len(untold)})
        return 0
    for line in lines:
        first, last = (local_date(day, config.tz, config.office.language) for day in (line.first_due, line.last_due))
        severity = spoken(config, *_WORDS[line.severity])
        say(
            spoken(
                config,
                f"重要度 {severity}：{line.findings} 件（{line.machines} 台）　期限 {first} から {last}",
                f"{severity}: {line.findings} findings on {line.machines} machines, due {first} to {last}",
            )
        )
    _tell_outcome(options, config, known, len(untold))
    return 0


def _machines(known: Sequence[Known]) -> int:
    """A machine that never reported is known by its finding alone."""
    return len({each.host_id or each.finding_id for each in known})


def _tell_outcome(options: Namespace, config: Config, known: Sequence[Known], untold: int) -> None:
    if not known and not untold:
        note(spoken(config, "新しく既知とするものはありません", "nothing is new here"))
    elif options.dry_run:
        note(
            spoken(
                config,
                f"試しに数えました。何も変えていません（送られなくなる通知の元 {untold} 件）",
                f"dry run, nothing was changed ({untold} events would not be told)",
            )
        )
    else:
        note(
            spoken(
                config,
                "既知としました。指摘は未対応のまま残り、これから新しく起きたことだけを通知します",
                "taken as known; the findings stay open, and only what is new notifies",
            )
        )


def _summary(severity: str, known: Sequence[Known]) -> _Line | None:
    these = [each for each in known if each.severity == severity]
    if not these:
        return None
    return _Line(
        severity=severity,
        findings=len(these),
        machines=_machines(these),
        first_due=min(each.due_at for each in these),
        last_due=max(each.due_at for each in these),
    )
