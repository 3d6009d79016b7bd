"""Asking the Windows Update Agent, shaped as its documentation has it; a real one answers on Windows only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from secmon_agent.host import ProbeError
from secmon_agent.questions.wua import CRITERIA, Entry, Update, Wua, read

SECURITY = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
TITLE = "2026-11 x64 ベース システム用 Windows 11 の累積更新プログラム (KB5068861) (26100.4061)"


def com_date(year: int, month: int, day: int, hour: int) -> datetime:
    """A DATE has no time zone; what pywin32 says of one means nothing."""
    return datetime(year, month, day, hour, tzinfo=timezone(timedelta(hours=9)))


def collection(*items: object) -> SimpleNamespace:
    return SimpleNamespace(Count=len(items), Item=lambda index: items[index])


class Searcher(SimpleNamespace):
    """An IUpdateSearcher; a search while `Online` is not False goes out to a server."""

    def __init__(self, result: int = 2) -> None:
        super().__init__(Online=True, GetTotalHistoryCount=lambda: 2, QueryHistory=self.history, Search=self.search)
        self.searched: list[tuple[str, bool]] = []
        self.result = result

    def history(self, start: int, count: int) -> SimpleNamespace:
        identity = SimpleNamespace(UpdateID="ABC")
        entry = SimpleNamespace(
            Date=com_date(2026, 11, 12, 8), Operation=1, ResultCode=2, Title=TITLE, UpdateIdentity=identity
        )
        return collection(entry, SimpleNamespace(Date=com_date(1899, 12, 30, 0), Title=None))

    def search(self, criteria: str) -> SimpleNamespace:
        self.searched.append((criteria, self.Online))
        update = SimpleNamespace(
            Identity=SimpleNamespace(UpdateID="DEF"),
            KBArticleIDs=collection("5070000"),
            Categories=collection(SimpleNamespace(CategoryID=SECURITY.upper())),
            IsHidden=False,
            LastDeploymentChangeTime=com_date(2026, 11, 18, 18),
        )
        warnings = collection(SimpleNamespace(HResult=-2145107924))
        return SimpleNamespace(ResultCode=self.result, Updates=collection(update), Warnings=warnings)


def _read(searcher: Searcher, searched_at: datetime | None = None) -> Wua:
    automatic = SimpleNamespace(
        Results=SimpleNamespace(LastSearchSuccessDate=searched_at), Settings=SimpleNamespace(NotificationLevel=4)
    )
    return read(SimpleNamespace(CreateUpdateSearcher=lambda: searcher), automatic)


def test_it_never_searches_online() -> None:
    searcher = Searcher()
    found = _read(searcher, com_date(2026, 11, 22, 23))
    assert searcher.searched == [(CRITERIA, False)]
    assert found.searched_at == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert found.updates == (
        Update(id="def", kbs=("5070000",), categories=(SECURITY,), offered_at=datetime(2026, 11, 18, 18, tzinfo=UTC)),
    )


def test_of_a_title_only_the_number_is_taken() -> None:
    (entry,) = _read(Searcher()).history
    moment = datetime(2026, 11, 12, 8, tzinfo=UTC)
    assert entry == Entry(id="abc", at=moment, operation=1, result=2, kbs=("5068861",))


@pytest.mark.parametrize("result", [3, 4, 5])
def test_a_search_that_did_not_succeed_as_a_whole_is_a_failure(result: int) -> None:
    with pytest.raises(ProbeError, match=f"result {result} 0x8024402C"):
        _read(Searcher(result))
