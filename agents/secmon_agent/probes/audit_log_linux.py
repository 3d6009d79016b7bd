"""Whether what happens here can be told afterwards."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import AuditLog
from secmon_agent.host import Host
from secmon_agent.probes import systemd
from secmon_agent.probes.processes_linux import runs
from secmon_agent.probes.settings_files import merged_ini

_RSYSLOG: Final = "/etc/rsyslog.conf"
_FORWARDS: Final = (
    r"^[^#\n]*(?:\s@@?[\w\[(]|omfwd|omrelp|:omrelp:)|^\s*(?:destination\b[^#\n]*)?\b(?:network|syslog|tcp|udp)\(\s*\""
)
_UNIT_DAYS: Final = {"daily": 1, "weekly": 7, "monthly": 30, "yearly": 365}
_SPANS_S: Final = {
    "": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400, "w": 604800, "week": 604800, "weeks": 604800, "month": 2629800, "months": 2629800,
    "y": 31557600, "year": 31557600, "years": 31557600,
}  # fmt: skip


def audit_log(host: Host) -> AuditLog:
    """Sources: journald.conf, rsyslog and syslog-ng configuration, logrotate, auditd's rules, installed programs and
    running ones.

    Rights: root for `audit_rules` (/etc/audit), and for `auditd` where others' processes are hidden; left out
    otherwise.
    """
    journal = merged_ini(host, "/etc/systemd/journald.conf").get("Journal", {})
    syslog = _syslog(host)
    auditd = _auditd(host)
    return AuditLog(
        journal_persistent=_persistent(host, journal.get("Storage", "auto")),
        syslog=syslog,
        auditd=auditd,
        audit_rules=UNSET if auditd == "none" else _audit_rules(host),
        remote=_remote(host),
        retention_days=_retention(host, journal.get("MaxRetentionSec", ""), syslog),
    )


def _persistent(host: Host, storage: str) -> bool:
    if not systemd.booted(host) or storage in ("volatile", "none"):
        return False
    return storage == "persistent" or host.exists("/var/log/journal")


def _syslog(host: Host) -> str:
    if host.exists("/usr/sbin/rsyslogd"):
        return "rsyslog"
    return "syslog-ng" if host.exists("/usr/sbin/syslog-ng") else "none"


def _auditd(host: Host) -> Literal["running", "installed", "none"] | UnsetType:
    if not (host.exists("/sbin/auditd") or host.exists("/usr/sbin/auditd")):
        return "none"
    running = runs(host, "auditd")
    return UNSET if running is None else ("running" if running else "installed")


def _audit_rules(host: Host) -> int | UnsetType:
    """Of rules.d, from which augenrules makes audit.rules at the start; of audit.rules alone where there is no such
    folder. Undetermined without the right to read them."""
    try:
        folder = "/etc/audit/rules.d"
        names = [f"{folder}/{name}" for name in host.listdir(folder) if name.endswith(".rules")]
        texts = [host.text_if_any(name) or "" for name in names or ["/etc/audit/audit.rules"]]
    except PermissionError:
        return UNSET
    return sum(len(re.findall(r"^\s*-[waA]\s", text, re.MULTILINE)) for text in texts)


def _remote(host: Host) -> bool:
    texts = [host.text_if_any(name) or "" for name in _configuration(host)]
    if any(re.search(_FORWARDS, text, re.MULTILINE) for text in texts):
        return True
    upload = merged_ini(host, "/etc/systemd/journal-upload.conf").get("Upload", {})
    return bool(upload.get("URL")) and "systemd-journal-upload.service" in systemd.wanted_units(host)


def _configuration(host: Host) -> list[str]:
    """Files of the syslog daemon that is installed."""
    main, folder = {
        "rsyslog": (_RSYSLOG, "/etc/rsyslog.d"),
        "syslog-ng": ("/etc/syslog-ng/syslog-ng.conf", "/etc/syslog-ng/conf.d"),
    }.get(_syslog(host), ("", ""))
    return [main, *(f"{folder}/{name}" for name in host.listdir(folder) if name.endswith(".conf"))] if main else []


def _retention(host: Host, journal: str, syslog: str) -> int | UnsetType:
    """Of the syslog daemon's files where there are some, else of the journal."""
    if syslog != "none":
        names = (f"/etc/logrotate.d/{syslog}", "/etc/logrotate.d/syslog")  # the latter on el8
        own = next((text for name in names if (text := host.text_if_any(name))), "")
        return _rotated_days(own, host.text_if_any("/etc/logrotate.conf") or "")
    seconds = span_s(journal)
    return seconds // 86400 if seconds else UNSET


def _rotated_days(own: str, common: str) -> int | UnsetType:
    """The shortest of the blocks; what a block leaves out comes from the common file."""
    general = re.sub(r"\{[^}]*\}", "", common)
    blocks = re.findall(r"\{([^}]*)\}", own)
    days = [_block_days(block, general) for block in blocks]
    known = [found for found in days if found is not None]
    return min(known) if known and len(known) == len(days) else UNSET


def _block_days(block: str, general: str) -> int | None:
    def setting(pattern: str) -> str | None:
        found = re.search(pattern, block, re.MULTILINE) or re.search(pattern, general, re.MULTILINE)
        return found[1] if found else None

    unit, count = setting(r"^\s*(daily|weekly|monthly|yearly)\b"), setting(r"^\s*rotate\s+(\d{1,5})\b")
    return None if unit is None or count is None else _UNIT_DAYS[unit] * int(count)


def span_s(text: str) -> int:
    """systemd.time(7) spans such as "1month 2d"; 0 where there is none or it cannot be read."""
    parts = re.findall(r"(\d+)\s*([a-z]*)", text)
    if not parts or any(unit not in _SPANS_S for _, unit in parts):
        return 0
    return sum(int(number) * _SPANS_S[unit] for number, unit in parts)
