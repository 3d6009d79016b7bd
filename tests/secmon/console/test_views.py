"""Turning what is stored into what is shown."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

import secmon.console
from secmon.console.fact_view import MAX_ROWS, section_views
from secmon.console.machine import HISTORY, Interval, StoredSection
from secmon.console.render import host_link, with_code
from secmon.console.timeline import WIDTH, spans
from secmon.console.times import absolute, relative
from secmon.console.words import WORDS
from secmon.evaluate.model import Status
from secmon.fact_words import FIELDS, SECTIONS
from secmon.reasons import sentence
from secmon_agent import facts, wire
from tests.support.office import START, Office

TEMPLATES = Path(secmon.console.__file__).with_name("templates")


def interval(status: Status, begin_days: float, end_days: float | None) -> Interval:
    """Days are counted back from START."""
    until = None if end_days is None else START - timedelta(days=end_days)
    since = START - timedelta(days=begin_days)
    return Interval(status=status, reason="", evidence="", cause="machine", since=since, until=until)


def test_it_draws_ten_units_a_day_and_cuts_off_what_is_older() -> None:
    drawn = spans([interval("pass", 400, 60), interval("fail", 60, 30), interval("unknown", 30, None)], START)
    assert [(span.status, span.x, span.width) for span in drawn] == [
        ("pass", 0.0, 300.0),
        ("fail", 300.0, 300.0),
        ("unknown", 600.0, 300.0),
    ]
    assert HISTORY.days * 10 == WIDTH


def test_it_joins_neighbours_of_one_status_but_not_over_a_gap() -> None:
    drawn = spans([interval("fail", 50, 40), interval("fail", 40, 30), interval("fail", 20, None)], START)
    assert [(span.x, span.width) for span in drawn] == [(400.0, 200.0), (700.0, 200.0)]


def test_it_keeps_the_shortest_answer_visible_and_inside() -> None:
    (drawn,) = spans([interval("fail", 0.001, None)], START)
    assert drawn.width >= 2
    assert drawn.x + drawn.width <= WIDTH


@pytest.mark.parametrize(
    ("reason", "ja", "en"),
    [
        ("stale", "最後の報告が古いため、現在の状態が分かりません。", "The last report is too old."),
        ("ports never reported", "「待ち受けポート」の報告がまだ届いていません。", "“Open ports” was never reported."),
        ("accounts denied: x", "「アカウント」は、権限が足りず読み取れません。", None),
        (
            "patches.manager not determined",
            "「更新プログラム」の「管理の仕組み」を機器から読み取れませんでした（patches.manager）。",
            None,
        ),
        ("patches.novel not determined", "機器から値を読み取れませんでした（patches.novel）。", None),
        (
            "attributes.zone not determined",
            "この機器の系統がまだ登録されていません（登録するコマンド：secmon host set HOST --zone ZONE）。",
            "The office has not told secmon this machine's zone: secmon host set HOST --zone ZONE",
        ),
        (
            "attributes.department_code not determined",
            "この機器の部署コードがまだ登録されていません"
            "（登録するコマンド：secmon host set HOST --department-code DEPARTMENT_CODE）。",
            None,
        ),
        (
            "judging failed: TypeError",
            "判定の途中で secmon に内部エラーが起きました（TypeError）。secmon のログを確認してください。",
            "secmon itself failed while judging (TypeError); see its log.",
        ),
        ("not judged", "まだ判定できるだけの報告が届いていません。", None),
        ("not fresh: patches.lists_updated_at", None, "Not fresh enough: patches.lists_updated_at."),
        ("no end of support is known for x 1", "「x 1」のサポート期限の情報がありません。", None),
        ('not: os.family == "linux"', None, 'Applies where os.family == "linux".'),
        ("2030-01-01 lies in the future", "機器の記録が未来の日付です（2030-01-01）。", None),
        ("something new", "something new", "something new"),
    ],
)
def test_it_tells_reasons_in_words(reason: str, ja: str | None, en: str | None) -> None:
    assert sentence(reason, "ja") == (ja or sentence(reason, "ja"))
    assert sentence(reason, "en") == (en or sentence(reason, "en"))
    assert sentence(reason, "ja") != sentence(reason, "en") or reason == "something new"


def test_it_tells_time_as_the_office_reads_it(tmp_path: Path) -> None:
    zone = Office(tmp_path).config.tz
    assert absolute(START, zone) == "2026-11-02 09:00"
    for ago, ja, en in (
        (timedelta(seconds=-30), "たった今", "just now"),
        (timedelta(seconds=59), "たった今", "just now"),
        (timedelta(minutes=1), "1分前", "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23時間前", "23 hours ago"),
        (timedelta(days=14), "14日前", "14 days ago"),
    ):
        assert (relative(START - ago, START, "ja"), relative(START - ago, START, "en")) == (ja, en)


def test_it_names_every_section_and_field_of_the_vocabulary() -> None:
    assert set(SECTIONS) == set(facts.SECTIONS)
    kinds = [kind for kind in vars(facts).values() if isinstance(kind, type) and issubclass(kind, facts.Fact)]
    fields = {name for kind in kinds for name in kind.__struct_fields__}
    assert fields - set(FIELDS) == set()


def test_it_shows_so_many_rows_and_says_how_many_there_are() -> None:
    packages = tuple(facts.Package(name=f"p{number:05}") for number in range(MAX_ROWS + 5))
    stored = StoredSection(
        name="software",
        status="ok",
        reason="",
        data=wire.encode_facts(facts.Software(packages=packages)),
        collected_at=START,
    )
    (view,) = section_views([stored], "ja", str)
    (table,) = view.tables
    assert (len(table.rows), table.count) == (MAX_ROWS, MAX_ROWS + 5)


def test_it_says_of_an_empty_text_that_there_is_none() -> None:
    data = wire.encode_facts(facts.Host(hostname="PC-1", domain=""))
    stored = StoredSection(name="host", status="ok", reason="", data=data, collected_at=START)
    assert ("ドメイン", "なし") in section_views([stored], "ja", str)[0].scalars


def test_it_says_that_bytes_cannot_be_read() -> None:
    for data in (b"\xc1", b"\x93\x01\x02\x03", b"", None):
        stored = StoredSection(name="os", status="ok", reason="", data=data, collected_at=START)
        assert section_views([stored], "en", str)[0].status == "undecodable"


def test_it_marks_code_and_still_escapes() -> None:
    assert with_code("run `apt <x>` & wait") == "run <code>apt &lt;x&gt;</code> &amp; wait"
    assert with_code("one ` only <b>") == "one ` only &lt;b&gt;"


def test_it_links_by_name_only_where_the_name_is_plain() -> None:
    assert host_link("PC-1.town", "id") == "/hosts/PC-1.town"
    for name in ("a/b", "..", "a b", "受付", "a?b", "", ".hidden"):
        assert host_link(name, "id") == "/hosts/id"


def test_it_has_every_word_that_a_template_asks_for_and_no_other() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(TEMPLATES.glob("*.html")))
    asked = set(re.findall(r'\bt\(\s*["\']([a-z0-9_]+)["\']', source))
    assert asked - set(WORDS) == {"cause_", "section_", "cover_", "means_", "kept_", "answer_"}
    built = (
        "cause_",
        "section_",
        "cover_",
        "means_",
        "kept_",
        "answer_",
        "excepted",
        "error_",
        "pass",
        "fail",
        "unknown",
        "not_applicable",
        "high",
        "medium",
        "low",
    )
    unused = {word for word in WORDS if word not in asked and f'"{word}"' not in source and not word.startswith(built)}
    assert unused == set(), sorted(unused)
