"""Whether what happens on Windows can be told afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.command import CommandError
from secmon_agent.facts import AuditLog, AuditSetting, EventLog
from secmon_agent.host import Host, ProbeError
from secmon_agent.probes.audit_subcategories import NAMES
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.questions.audit_policy import FAILURE, SUCCESS, AuditPolicy
from secmon_agent.registry import HKLM, Value, lookup, number, text

LogName = Literal["Application", "Security", "System"]
WhenFull = Literal["overwrite", "archive", "stop"]

_LOGS: Final[tuple[LogName, ...]] = ("Application", "Security", "System")
_OWN: Final = HKLM + r"\SYSTEM\CurrentControlSet\Services\EventLog"
_POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\Windows\EventLog"
_KIB: Final = 1024


def audit_log_windows(host: Host) -> AuditLog:
    """Sources: AuditQuerySystemPolicy; registry, `Services\\EventLog` and its policies.

    Rights: Administrator with SeSecurityPrivilege for `audit_policy`, which others leave out.
    """
    logs = tuple(log for name in _LOGS if (log := _log(host, name)) is not None)
    forwarding = values_if_any(host, rf"{_POLICY}\EventForwarding\SubscriptionManager")
    try:
        policy: tuple[AuditSetting, ...] | UnsetType = _settings(host.ask("audit_policy", AuditPolicy))
    except (ProbeError, CommandError, OSError):
        if not logs:
            raise
        policy = UNSET
    return AuditLog(
        audit_policy=policy,
        event_logs=logs or UNSET,
        remote=True if any(value for value in forwarding.values()) else UNSET,
    )


def _settings(policy: AuditPolicy) -> tuple[AuditSetting, ...]:
    return tuple(
        AuditSetting(
            subcategory=NAMES.get(it.guid.lower(), it.guid.lower()),
            success=bool(it.bits & SUCCESS),
            failure=bool(it.bits & FAILURE),
        )
        for it in policy.settings
    )


def _log(host: Host, name: LogName) -> EventLog | None:
    """None where there is no such log. A policy counts in KiB, the log itself in bytes."""
    own, policy = values_if_any(host, f"{_OWN}\\{name}"), values_if_any(host, f"{_POLICY}\\{name}")
    if not own:
        return None
    ruled, size = _number(policy, "MaxSize"), number(own, "MaxSize")
    return EventLog(
        name=name,
        max_bytes=ruled * _KIB if ruled is not None else UNSET if size is None else size,
        when_full=_when_full(own, policy),
    )


def _when_full(own: Mapping[str, Value], policy: Mapping[str, Value]) -> WhenFull | UnsetType:
    keeps, archives = _number(policy, "Retention"), _number(policy, "AutoBackupLogFiles")
    keeps = _number(own, "Retention") if keeps is None else keeps
    archives = _number(own, "AutoBackupLogFiles") if archives is None else archives
    if keeps is None:
        return UNSET
    if not keeps:
        return "overwrite"
    return "archive" if archives else "stop"


def _number(values: Mapping[str, Value], name: str) -> int | None:
    """Policies write some numbers as text."""
    found = lookup(values, name)
    written = text(values, name)
    return found if isinstance(found, int) else int(written) if written and written.isdecimal() else None
