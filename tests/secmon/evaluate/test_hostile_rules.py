"""Rule files that mean harm, or look as if: refused quickly and with a reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.evaluate.document import DocumentError, read_document
from secmon.evaluate.ruleset import RulesError, load_rules
from secmon.evaluate.syntax import ConditionError, parse

Write = Callable[..., Path]


def refusal(data: bytes) -> tuple[int, str]:
    with pytest.raises(DocumentError) as caught:
        read_document(data)
    return caught.value.line, caught.value.reason


def test_an_alias_bomb_goes_off_at_its_first_anchor() -> None:
    levels = "".join(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcde", "bcdef"))  # noqa: B905

    assert refusal(f"a: &a [x]\n{levels}".encode()) == (1, "anchors and aliases are not allowed")
    assert refusal(b"a: 1\nb: *a\n") == (2, "anchors and aliases are not allowed")


@pytest.mark.parametrize("text", ["[" * 30_000, "{a: " * 10_000, "- " * 20_000, "a: " + "[" * 13 + "]" * 13])
def test_depth_is_bounded(text: str) -> None:
    assert refusal(text.encode())[1] == "nested deeper than 12"


def test_size_is_bounded() -> None:
    assert refusal(b"a: " + b"x" * 65_536)[1] == "file of 65539 bytes; the limit is 65536"


def test_a_file_is_not_read_to_its_end(write_check: Write) -> None:
    folder = write_check()
    with (folder / "checks" / "patch" / "sample.yaml").open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(RulesError, match="the limit is 65536"):
        load_rules(folder)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"a: 1\na: 2\n", 2, "the key 'a' stands here twice"),
        (
            b"a: !!python/object/apply:os.system [id]\n",
            1,
            "tags are not allowed: tag:yaml.org,2002:python/object/apply:os.system",
        ),
        (b"a: 1\n---\nb: 2\n", 2, "a second document; a file holds one"),
        (b"", 1, "the file is empty"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: 1\n? [x]\n: 2\n", 2, "a key must be plain text"),
        (b"a: [1\nb: 2\n", 2, "not YAML"),
        (b"a: \x00\n", 1, "not YAML"),
    ],
)
def test_what_surprises_is_refused_with_its_line(text: bytes, line: int, reason: str) -> None:
    found_line, found_reason = refusal(text)

    assert found_reason.startswith(reason)
    assert found_line in (line, line + 1)  # parsers differ about where an error begins


def test_words_that_older_yaml_takes_for_something_else_stay_text() -> None:
    node = read_document(b"[no, on, 2026-11-20, 0x10, 1_000, 12, 1.5, true, ~, '12']")
    assert isinstance(node.value, list)

    values = [item.value for item in node.value]

    assert values == ["no", "on", "2026-11-20", "0x10", "1_000", 12, 1.5, True, None, "12"]


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(DocumentError):
        assert read_document(data).line >= 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("true" + " || true" * 500, "condition of 4004 bytes; the limit is 2048"),
        ("(" * 1000 + "true" + ")" * 1000, "nested deeper than 24"),
        ("!" * 1000 + "true", "!! says nothing"),
        ("f(" * 900, "nested deeper than 24"),
        ("[" * 1000, "nested deeper than 24"),
        ("true ? " * 250 + "true", "nested deeper than 24"),
    ],
)
def test_conditions_are_bounded_in_size_and_depth(source: str, reason: str) -> None:
    with pytest.raises(ConditionError, match=r".") as caught:
        parse(source)

    assert str(caught.value) == reason


@given(st.text(alphabet="abos.()[]!&|?:<>=\"'+-, 01", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_parsed_or_refused(source: str) -> None:
    with suppress(ConditionError):
        assert parse(source) is not None
