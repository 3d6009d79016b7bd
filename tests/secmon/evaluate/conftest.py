"""The shipped rules, loaded once, and small rule folders written for one test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from secmon.evaluate.examples import Example
from secmon.evaluate.ruleset import RuleSet, load_examples

RULES = Path(__file__).resolve().parents[3] / "rules"
WORSE_WITHOUT = {"ports.listening[].firewall"}
"""Facts without which the worse answer stands: what an older agent does not tell must not close a finding."""

BASE: Mapping[str, str] = {
    "id": "patch.sample",
    "area": "patch",
    "title": "{ja: 見本, en: Sample}",
    "when_absent": "not_applicable",
    "pass": "firewall.filtering",
    "severity": "low",
    "why": "{ja: なぜ, en: Why}",
    "fix": "{ja: [一], en: [one]}",
    "examples": "[{facts: {firewall: {filtering: true}}, expect: pass},"
    " {facts: {firewall: {filtering: false}}, expect: fail}]",
}
PASS_AND_FAIL = "[{facts: {}, expect: pass}, {facts: {}, expect: fail}]"


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return RULES


@pytest.fixture(scope="session")
def loaded() -> tuple[RuleSet, Mapping[str, tuple[Example, ...]]]:
    return load_examples(RULES)


@pytest.fixture(scope="session")
def rules(loaded: tuple[RuleSet, Mapping[str, tuple[Example, ...]]]) -> RuleSet:
    return loaded[0]


@pytest.fixture
def write_check(tmp_path: Path) -> Callable[..., Path]:
    """Writes one check (the sample with the given fields; None leaves a field out) and gives the rules folder."""

    def write(*, file: str = "patch/sample.yaml", **fields: str | None) -> Path:
        path = tmp_path / "rules" / "checks" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        changed = {"pass" if name == "pass_" else name: value for name, value in fields.items()}
        if "pass" in changed or "items" in changed:
            changed.setdefault("examples", PASS_AND_FAIL)
        lines = [f"{name}: {value}" for name, value in {**BASE, **changed}.items() if value is not None]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / "rules"

    return write
