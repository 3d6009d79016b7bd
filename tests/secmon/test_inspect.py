"""The table of one machine, and the answer of `secmon inspect`."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from secmon.errors import UsageError
from secmon.evaluate.model import Item, Language, Verdict
from secmon.evaluate.ruleset import load_rules
from secmon.inspect import as_json, run_inspect, table

RULES_DIR = Path(__file__).resolve().parents[2] / "rules"
RULES = load_rules(RULES_DIR)
VERDICTS = [
    Verdict(check="firewall.filtering", status="fail", evidence="firewall.filtering = false"),
    Verdict(
        check="patch.security-updates-overdue",
        status="fail",
        items=(
            *(Item(key=f"package-{n}", status="fail", evidence=f"{n}.0 → {n}.1 (2026-11-01)") for n in range(5)),
            Item(key="undetermined", status="unknown"),
        ),
    ),
    Verdict(check="boot.secure-boot", status="unknown", reason="boot denied: no right"),
    Verdict(check="patch.lists-stale", status="pass"),
    Verdict(check="encryption.laptop", status="not_applicable"),
]


def printed(width: int = 100, language: Language = "ja", verdicts: list[Verdict] = VERDICTS) -> str:
    out = io.StringIO()
    table(verdicts, RULES, language=language, hostname="pc-01", console=Console(file=out, width=width))
    return out.getvalue()


def test_the_worst_comes_first_and_what_is_unknown_stands_apart() -> None:
    text = printed()

    order = [
        text.index(RULES.checks[it].title.ja[:9]) for it in ("patch.security-updates-overdue", "firewall.filtering")
    ]
    assert order == sorted(order)
    assert text.index("確認できなかった項目（1件）") > order[1]
    assert "セキュアブート" in text
    assert RULES.checks["patch.lists-stale"].title.ja not in text
    assert "全5項目：要対応 2、確認不能 1、適合 1、対象外 1" in text


def test_it_shows_three_items_and_how_many_more() -> None:
    text = printed()

    assert "package-2" in text
    assert "package-3" not in text
    assert "undetermined" not in text
    assert "ほか2件" in text


def test_it_gives_the_first_step_of_each_failing_check() -> None:
    english = " ".join(printed(width=200, language="en").split())

    assert "As administrator, run apt-get update and apt-get upgrade." in english
    assert "first allow what is needed" in english.lower()


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("language", ["ja", "en"])
def test_it_fits_the_terminal(width: int, language: Language) -> None:
    lines = printed(width, language).splitlines()

    assert max(cell_len(line) for line in lines) <= width
    assert not any("…" in line for line in lines)
    assert not any(cell.startswith(("、", "。")) for line in lines for cell in line.split())


def test_it_says_so_when_nothing_fails() -> None:
    assert "対応が必要な項目は見つかりませんでした。" in printed(verdicts=VERDICTS[2:])


def test_text_of_a_machine_is_no_markup() -> None:
    verdict = Verdict(check="patch.held-packages", status="fail", items=(Item(key="[red]x[/]", status="fail"),))

    assert "[red]x[/]" in printed(verdicts=[verdict])


def facts_file(folder: Path, collected_at: datetime, filtering: bool = True, version: str = "13") -> Path:
    moment = collected_at.isoformat()
    sections = {
        "host": {"hostname": "pc-02", "chassis": "desktop"},
        "os": {"family": "linux", "id": "debian", "version": version, "name": f"Debian {version}"},
        "firewall": {"filtering": filtering},
    }
    document = {
        "format": "secmon.facts.v1",
        "collected_at": moment,
        "sections": {
            name: {"status": "ok", "collected_at": moment, "facts": found} for name, found in sections.items()
        },
    }
    path = folder / "facts.json"
    path.write_bytes(msgspec.json.encode(document))
    return path


def inspected(file: Path | None) -> tuple[int, dict[str, str]]:
    out = io.StringIO()
    status = run_inspect(file, json=True, language="ja", rules_dir=RULES_DIR, out=out)
    results = msgspec.json.decode(out.getvalue())["results"]
    return status, {row["check"]: row["verdict"]["status"] for row in results}


def test_a_facts_file_of_another_machine_is_judged(tmp_path: Path) -> None:
    status, answers = inspected(facts_file(tmp_path, datetime.now(UTC), filtering=False))

    assert (status, answers["firewall.filtering"], answers["support.os"]) == (0, "fail", "pass")
    assert answers["boot.secure-boot"] == "unknown"
    assert "zone.assigned" not in answers  # the office's word, of which a single machine knows nothing
    assert "network.wireless-in-closed-zone" not in answers


def test_the_exit_status_is_1_when_something_of_high_severity_fails(tmp_path: Path) -> None:
    status, answers = inspected(facts_file(tmp_path, datetime.now(UTC), version="8"))

    assert (status, answers["support.os"]) == (1, "fail")


def test_an_old_facts_file_gives_no_answers(tmp_path: Path) -> None:
    status, answers = inspected(facts_file(tmp_path, datetime.now(UTC) - timedelta(days=30)))

    assert (status, set(answers.values())) == (0, {"unknown"})


def test_this_very_machine_can_be_judged() -> None:
    _, answers = inspected(None)

    assert len(answers) >= 24
    foreign = "patch.automatic" if sys.platform == "win32" else "patch.windows-updates"
    assert answers[foreign] == "not_applicable"


def test_the_table_of_a_facts_file_names_the_machine(tmp_path: Path) -> None:
    out = io.StringIO()
    run_inspect(facts_file(tmp_path, datetime.now(UTC)), json=False, language="en", rules_dir=RULES_DIR, out=out)

    assert "pc-02: no check fails." in out.getvalue()


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "facts.json"
    broken.write_text("{}")
    for file, reason in ((tmp_path / "none.json", "No such file"), (broken, "secmon-agent facts")):
        with pytest.raises(UsageError, match=reason) as caught:
            run_inspect(file, json=False, language="ja", rules_dir=RULES_DIR, out=io.StringIO())
        assert "\n" not in str(caught.value)


def test_rules_with_mistakes_stop_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rules check"):
        run_inspect(None, json=False, language="ja", rules_dir=tmp_path, out=io.StringIO())


def test_json_carries_texts_and_verdicts() -> None:
    document = msgspec.json.decode(as_json(VERDICTS, RULES, hostname="pc-01", observed_at=None))

    assert document["format"] == "secmon.inspection.v1"
    assert document["counts"] == {"fail": 2, "unknown": 1, "pass": 1, "not_applicable": 1}
    assert document["results"][0]["title"]["ja"] == "ファイアウォールの有効化"
    assert document["results"][2]["verdict"]["reason"] == "boot denied: no right"


def test_it_shows_nothing_that_a_terminal_would_obey() -> None:
    hostile = Item(key="tcp/23\x1b]0;x\x07", status="fail", evidence="a\x1b[2J\u202eb")
    shown = printed(
        verdicts=[
            Verdict(check="ports.exposed-high-risk", status="fail", items=(hostile,)),
            Verdict(check="firewall.filtering", status="fail", evidence="x\x1b[31m"),
            Verdict(check="support.os", status="unknown", reason="something new \x1b[31m"),
        ]
    )
    assert "tcp/23" in shown
    assert all(each == "\n" or each.isprintable() or each == "\u3000" for each in shown)
