"""Whole rules folders that mean harm: `secmon rules check` and a running collector refuse them with file and reason."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from secmon.alerts.rules import read_alert_rule
from secmon.errors import UsageError
from secmon.evaluate.checkfile import read_check
from secmon.evaluate.command import check_rules
from secmon.evaluate.document import MAX_FILE_BYTES
from secmon.evaluate.frameworks import load_frameworks
from secmon.evaluate.judge import judge
from secmon.evaluate.lifecyclefile import read_products
from secmon.evaluate.listfile import read_list, read_list_change
from secmon.evaluate.mistakes import Reader, RulesError
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.overridefile import read_overrides
from secmon.evaluate.profilefile import read_profile
from secmon.evaluate.ruleset import load_rules
from secmon.evaluate.timing import LARGEST_NOW, largest_facts
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook

SHIPPED = load_rules(rules_dir())
PATIENCE_S = 20.0
"""Of processor time, for what takes less than one second on an idle machine."""
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped rules of one area alone, which are quick to check."""
    copied = tmp_path / "rules"
    shutil.copytree(rules_dir() / "checks" / "firewall", copied / "checks" / "firewall")
    (copied / "alerts").mkdir()
    shutil.copy(rules_dir() / "alerts" / "rules-changed.yaml", copied / "alerts")
    return copied


@contextmanager
def in_time() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < PATIENCE_S


def refused(folder: Path) -> list[str]:
    """What both say, which must be the same."""
    out = io.StringIO()
    with in_time():
        assert check_rules(folder, out) == 1
        with pytest.raises(UsageError) as caught:
            Rulebook(folder)
    lines = out.getvalue().splitlines()[:-1]
    assert str(caught.value).partition(" (and ")[0] in lines
    assert "Traceback" not in out.getvalue()
    return lines


CHECK = "checks/firewall/filtering.yaml"
LIFECYCLE = "products: [debian]\nsource: x\nas_of: 2026-01-01\ncycles: [{cycle: '12', until: 2028-06-30}]\n"
FRAMEWORK = "id: x\ntitle: {ja: x, en: x}\nlisted: {ja: x, en: x}\nedition: x\nverified: false\ncontrols:\n"
HOSTILE = {
    "alias bomb": (CHECK, b"a: &a [x]\nb: &b [*a, *a]\n", 1, "anchors and aliases are not allowed"),
    "deep": (CHECK, b"[" * 60_000, 1, "nested deeper than 12"),
    "long": (CHECK, b"a: " + b"x" * MAX_FILE_BYTES, 1, "file of 65537 bytes; the limit is 65536"),
    "code": (CHECK, b"a: !!python/object/new:os.system [id]\n", 1, "tags are not allowed"),
    "not UTF-8": (CHECK, "a: 一\n".encode("shift_jis"), 1, "not UTF-8"),
    "UTF-16": (CHECK, "a: b\n".encode("utf-16"), 1, "not UTF-8"),
    "keys twice": (CHECK, b"id: a\nid: b\n", 2, "the key 'id' stands here twice"),
    "keys twice, written otherwise": (CHECK, b'id: a\n"i\\x64": b\n', 2, "the key 'id' stands here twice"),
    "merge": (CHECK, b"<<: {id: a}\n", 1, "check: unknown key '<<'"),
    "terminal": (CHECK, b'\n\ntitle: {ja: "\\e[2J", en: x}\n', 3, "control characters are not allowed"),
    "direction": (CHECK, b'id: "a\\u202eb"\n', 1, "control characters are not allowed"),
    "NUL": (CHECK, b'id: "a\\0b"\n', 1, "control characters are not allowed"),
    "no mapping": (CHECK, b"just text\n", 1, "check must be a mapping"),
    "empty": (CHECK, b"", 1, "the file is empty"),
    "lifecycle: never ends": (
        "lifecycle/debian.yaml", LIFECYCLE.replace("2028-06-30", "9999-12-31").encode(), 1, "until: 12 ends after",
    ),
    "lifecycle: wrong kind": ("lifecycle/debian.yaml", b"products: {a: b}\n", 1, "Expected `array`"),
    "lifecycle: deep": ("lifecycle/debian.yaml", b"{a: " * 10_000, 1, "nested deeper than 12"),
    "lifecycle: long": ("lifecycle/debian.yaml", b"#" * MAX_FILE_BYTES * 2, 1, "file of 65537 bytes"),
    "framework: list for a name": (
        "frameworks/x.yaml", f"{FRAMEWORK}  - {{id: a, title: {{ja: x, en: x}}, checks: [[x]]}}\n".encode(), 7,
        "checks must be text",
    ),
    "framework: long": ("frameworks/x.yaml", b"#" * MAX_FILE_BYTES * 2, 1, "file of 65537 bytes"),
    "alerts: long": ("alerts/high.yaml", b"#" * MAX_FILE_BYTES * 2, 1, "file of 65537 bytes"),
    "alerts: deep": ("alerts/high.yaml", b"[" * 60_000, 1, "nested deeper than 12"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "data", "line", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_file_line_and_reason(
    folder: Path, file: str, data: bytes, line: int, reason: str
) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(data)

    assert any(said.startswith(f"rules/{file}:{line}: {reason}") for said in refused(folder)), refused(folder)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("||".join(["firewall.filtering"] * 90), "more than 64 steps in a row or within each other"),
        ("firewall.filtering == ('a' + 'a'" + "+'a'" * 400 + " == 'a')", "more than 64 steps"),
        ("firewall" + ".filtering" * 150, "more than 64 steps"),
        ("os.id" + ".contains('a')" * 100, "more than 64 steps"),
        ("string(" * 200 + "1" + ")" * 200 + " == '1'", "nested deeper than 24"),
        ("os.build == " + "9" * 2000, "not CEL"),
        ("os.id.matches('(a+)+$')", "unknown function 'matches'"),
        ("os.id.matches('(a|a)*b')", "unknown function 'matches'"),
        ("os.id == os.__class__", "unknown field 'os.__class__'"),
        ("__import__('os').system('id')", "unknown function"),
        ("firewall.filtering" + " || true" * 400, "the limit is 2048"),
    ],
)
def test_a_hostile_condition_is_refused_with_its_line(folder: Path, condition: str, reason: str) -> None:
    file = folder / CHECK
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("pass:"))
    lines[at] = f"pass: {msgspec.json.encode(condition).decode()}"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    said = refused(folder)

    assert [line for line in said if line.startswith(f"rules/{CHECK}:{at + 1}: pass: ") and reason in line], said


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:secret-hash:1:\n")
    (folder / CHECK).unlink()
    (folder / CHECK).symlink_to(secret)

    (said,) = refused(folder)

    assert said.endswith("filtering.yaml:1: cannot be read: a link that leads out of the rules folder")


def test_a_link_within_the_folder_is(folder: Path) -> None:
    """As Kubernetes mounts what it is given."""
    file = folder / CHECK
    file.rename(folder / "..data.yaml")
    file.symlink_to(Path("..", "..", "..data.yaml"))

    assert Rulebook(folder).current.checks


@pytest.mark.parametrize(
    "file", [CHECK, "lifecycle/x.yaml", "frameworks/x.yaml", "alerts/x.yaml", "attestations/x.yaml"]
)
def test_a_pipe_is_not_waited_for(folder: Path, file: str) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)

    assert any("cannot be read: it is no file" in said for said in refused(folder))


def test_links_in_a_circle_and_folders_for_files_are_told(folder: Path) -> None:
    (folder / "checks" / "firewall" / "a.yaml").symlink_to("b.yaml")
    (folder / "checks" / "firewall" / "b.yaml").symlink_to("a.yaml")
    (folder / "checks" / "firewall" / "c.yaml").mkdir()

    said = refused(folder)

    assert [line.partition(": ")[2].partition(":")[0] for line in said] == ["cannot be read"] * 3


def test_thousands_of_files_are_told_by_one_line(folder: Path) -> None:
    for number in range(1100):
        (folder / "checks" / "firewall" / f"x{number}.yaml").write_text("")

    assert any(line.endswith("checks:1: more than 1000 files") for line in refused(folder))


@pytest.mark.parametrize(
    "example",
    [
        "{facts: {firewall: {filtering: true}}, expect: pass, age_days: 999999999999999}",
        "{facts: {firewall: {filtering: true}}, expect: pass, now: '0001-01-01T00:00:00Z', age_days: 1}",
        "{facts: {firewall: {filtering: true}}, expect: pass, now: '9999-12-31T23:59:59-14:00'}",
        "{facts: {firewall: [[[[[]]]]]}, expect: pass}",
        "{facts: {firewall: {filtering: 99999999999999999999999}}, expect: pass}",
        "{facts: 3, expect: pass}",
        "[]",
    ],
)
def test_an_example_that_blows_up_is_told_and_nothing_else_happens(write_check: Write, example: str) -> None:
    fine = "{facts: {firewall: {filtering: true}}, expect: pass}, {facts: {firewall: {filtering: false}}, expect: fail}"
    out = io.StringIO()

    with in_time():
        code = check_rules(write_check(examples=f"[{fine}, {example}]"), out)

    assert code == 0 or out.getvalue().startswith("rules/checks/patch/sample.yaml:9: example: ")


def test_conditions_that_nobody_checked_end_all_the_same(write_check: Write) -> None:
    """A collector takes rules without timing them: n × n steps over the longest lists end with no answer."""
    twice = "ports.listening.all(a, ports.listening.all(b, a.port != b.port || a.process == b.process))"
    joins = "services.services.all(s, ports.listening.exists(p, p.process == s.name))"
    sections = {
        name: SectionState(status="ok", facts=facts)  # type: ignore[arg-type]
        for name, facts in largest_facts().items()
    }
    machine = Machine(sections=sections, observed_at=LARGEST_NOW)
    for condition in (twice, joins):
        rules = load_rules(write_check(pass_=condition))
        with in_time():
            verdict = judge(rules.checks["patch.sample"], machine, LARGEST_NOW)
        assert (verdict.status, verdict.reason) == ("unknown", "more than 2000000 steps are needed")


def test_texts_do_not_grow_without_bound(write_check: Write) -> None:
    rules = load_rules(write_check(pass_="(os.name + os.name + os.name).contains('x')"))
    long = Machine(sections={"os": SectionState(status="ok", facts={"name": "n" * 40_000})}, observed_at=LARGEST_NOW)

    verdict = judge(rules.checks["patch.sample"], long, LARGEST_NOW)

    assert (verdict.status, verdict.reason) == ("unknown", "a text of more than 65536 characters")


# ── any YAML ──────────────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = (
    "id", "area", "title", "pass", "severity", "why", "fix", "examples", "applies", "when_absent", "items", "key",
    "requires_fresh", "limits", "evidence", "ja", "en", "default", "strictest", "facts", "expect", "now", "zone",
    "age_days", "attributes", "networks", "os", "ports", "listening", "family", "products", "source", "as_of", "cycles",
    "cycle", "until", "editions", "label", "edition", "verified", "controls", "checks", "events", "causes", "urgency",
    "recipients", "cautions", "frameworks", "hosts", "include", "exclude", "areas", "severities", "entries", "add",
    "remove", "disabled", "reason", "zones", "profiles", "order", "listed", "firewall.filtering", "patch.automatic",
    "true", "firewall.filtering && os.build > 3", "ports.listening", "item.port", "high", "patch", "sample",
    "2026-11-20",
)  # fmt: skip
SCALARS = (
    st.sampled_from(WORDS) | st.booleans() | st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.dates()
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | SCALARS, inner, max_size=8),
    max_leaves=40,
)
FILES = st.dictionaries(st.sampled_from(WORDS), TREES, max_size=14).map(
    lambda tree: yaml.dump(tree, allow_unicode=True).encode("utf-8", "replace")
)
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def readers(data: bytes) -> Iterator[tuple[object, Reader]]:
    yield read_check(data, "x.yaml", "patch", "sample", SHIPPED.lists)
    yield read_products(data, "x.yaml")
    yield read_alert_rule(data, "x.yaml", "sample", ["nist-csf"])
    yield read_profile(data, "x.yaml", "sample", SHIPPED.checks, is_own=True)
    yield read_overrides(data, "x.yaml", SHIPPED.checks, ["sample"])
    yield read_list(data, "x.yaml", "sample")
    yield read_list_change(data, "x.yaml", "sample", SHIPPED.lists)


@given(FILES | st.binary(max_size=200))
@example(b"include:\n  id: x\n")
@MANY
def test_any_file_is_read_or_refused_by_every_reader(data: bytes) -> None:
    for found, reader in readers(data):
        assert found is not None or reader.mistakes
        assert all(mistake.line >= 1 and mistake.reason for mistake in reader.mistakes)


@given(FILES)
@MANY
def test_any_framework_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    for part in ("frameworks", "attestations"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "sample.yaml").write_bytes(data)
        with suppress(RulesError):
            load_frameworks(tmp_path, SHIPPED)
        (tmp_path / part / "sample.yaml").unlink()


def test_thousands_of_names_that_nothing_has_are_told_in_time() -> None:
    """Each is told with the names that are close to it."""
    lines = "".join(f"firewall.filterinq{number}: {{severity: low}}\n" for number in range(1700))

    with in_time():
        _, reader = read_overrides(lines.encode()[:MAX_FILE_BYTES], "x.yaml", SHIPPED.checks, [])

    assert reader.misfits or reader.mistakes
