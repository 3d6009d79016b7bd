"""What the Windows Update Agent knows: updates that its last search found, and its history.

It is never made to search anew: 150 machines that do so at 08:30 would bring a WSUS to its knees.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.host import ProbeError
from secmon_agent.questions import com

CRITERIA: Final = "IsInstalled=0 and Type='Software'"
"""Hidden updates too: hiding one does not install it."""
MAX_HISTORY: Final = 1000
_SUCCEEDED: Final = 2
_KB: Final = re.compile(r"\bKB(\d{5,8})\b", re.IGNORECASE)


class Update(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An update that applies to this machine and is not installed."""

    id: str
    """GUID, lower case."""
    kbs: tuple[str, ...] = ()
    """Numbers alone."""
    categories: tuple[str, ...] = ()
    """GUIDs of classification and products, lower case."""
    hidden: bool = False
    offered_at: datetime | UnsetType = UNSET
    """LastDeploymentChangeTime."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the history, newest first."""

    id: str
    at: datetime
    operation: int
    """1 installation, 2 removal."""
    result: int
    """OperationResultCode: 2 succeeded, 3 with errors, 4 failed, 5 aborted."""
    kbs: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class Wua(Struct, frozen=True, kw_only=True, omit_defaults=True):
    updates: tuple[Update, ...]
    history: tuple[Entry, ...]
    searched_at: datetime | UnsetType = UNSET
    """Last successful search of Automatic Updates."""
    notification_level: int | UnsetType = UNSET
    """AutomaticUpdatesNotificationLevel: 1 disabled, 2 before download, 3 before installation, 4 scheduled."""


def answer() -> Wua:
    with com.asking("Windows Update"):
        session = com.created("Microsoft.Update.Session", "CreateUpdateSearcher")
        return read(session, com.created("Microsoft.Update.AutoUpdate", "Results"))


def read(session: Any, automatic: Any) -> Wua:
    """Of an IUpdateSession and an IAutomaticUpdates2."""
    searcher = session.CreateUpdateSearcher()
    searcher.Online = False
    count = min(searcher.GetTotalHistoryCount(), MAX_HISTORY)
    history = com.listed(searcher.QueryHistory(0, count)) if count else []
    return Wua(
        updates=tuple(_update(it) for it in _found(searcher)),
        history=tuple(entry for it in history if (entry := _entry(it)) is not None),
        searched_at=com.instant(automatic.Results.LastSearchSuccessDate),
        notification_level=automatic.Settings.NotificationLevel,
    )


def _found(searcher: Any) -> list[Any]:
    """A search that did not succeed as a whole has no answer: what it lacks cannot be told from what is installed."""
    result = searcher.Search(CRITERIA)
    if result.ResultCode != _SUCCEEDED:
        warnings = [com.name(it.HResult) for it in com.listed(result.Warnings)[:1]]
        raise ProbeError(" ".join(("Windows Update: the search ended with result", str(result.ResultCode), *warnings)))
    return com.listed(result.Updates)


def _update(it: Any) -> Update:
    return Update(
        id=it.Identity.UpdateID.lower(),
        kbs=tuple(com.listed(it.KBArticleIDs)),
        categories=_categories(it),
        hidden=bool(it.IsHidden),
        offered_at=com.instant(it.LastDeploymentChangeTime),
    )


def _entry(it: Any) -> Entry | None:
    """None without a date. Of the title, which is in the language of Windows, only the number is taken."""
    at = com.instant(it.Date)
    if at is UNSET:
        return None
    return Entry(
        id=it.UpdateIdentity.UpdateID.lower(),
        at=at,
        operation=it.Operation,
        result=it.ResultCode,
        kbs=tuple(dict.fromkeys(_KB.findall(it.Title or ""))),
        categories=_categories(it),
    )


def _categories(it: Any) -> tuple[str, ...]:
    """None of an entry of the history that another program wrote, or an old Windows."""
    try:
        return tuple(category.CategoryID.lower() for category in com.listed(it.Categories))
    except Exception as error:
        if com.code(error) is None and not isinstance(error, AttributeError):
            raise
        return ()
