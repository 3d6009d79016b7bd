"""Since when an update is pending: neither apt nor dnf keeps that, so this agent remembers what it saw."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET

from secmon_agent.facts import PendingUpdate
from secmon_agent.host import Host

_KEY: Final = "patches.pending-since"


def with_since(host: Host, found: Iterable[PendingUpdate], fetched: datetime | None) -> list[PendingUpdate]:
    """Each update with the time of the list in which this agent first saw one of its kind for the installed version: a
    newer candidate does not start the time anew, a first security update does. Forgets what is no longer pending."""
    updates = list(found)
    known = _recall(host)
    since = {}
    for update in updates:
        moment = known.get(_kind(update), fetched)
        if moment is not None and fetched is not None:
            moment = min(moment, fetched)  # a list older than what it began with: the clock was ahead then
        if moment is not None:
            since[_kind(update)] = moment
    if since != known:
        host.memory.put(_KEY, msgspec.msgpack.encode(since))
    return [msgspec.structs.replace(update, pending_since=since.get(_kind(update), UNSET)) for update in updates]


def _kind(update: PendingUpdate) -> str:
    return f"{update.package} {update.installed_version} {'security' if update.security is True else 'other'}"


def _recall(host: Host) -> dict[str, datetime]:
    raw = host.memory.get(_KEY)
    try:
        return msgspec.msgpack.decode(raw, type=dict[str, datetime]) if raw else {}
    except msgspec.DecodeError:
        return {}
