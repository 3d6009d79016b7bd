"""The example configuration: it loads, names every setting, and tells the defaults as they are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import msgspec
import pytest

from secmon import config
from tests.packaging.room import ROOT

EXAMPLE = ROOT / "docs" / "secmon.example.toml"
SETTING = re.compile(r"^#([a-z_]+ = .*)$", re.MULTILINE)


def tables() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """(name of the table, its type), the file's own level first."""
    yield "", config.Config
    for field in msgspec.structs.fields(config.Config):
        kinds = [field.type, *_parts(field.type)]
        yield from ((field.name, kind) for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if not isinstance(kind, UnionType) else ()


def text_of(table: str) -> str:
    """The lines of all tables of that name in the example."""
    parts = re.split(r"^\[+([a-z]+)\]+$", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = zip(["", *parts[1::2]], parts[0::2], strict=True)
    return "\n".join(body for name, body in named if name == table)


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The example beside the secret files that it names."""
    (tmp_path / "metrics.token").write_text("t" * 32)
    (tmp_path / "mail.password").write_text("secret")
    target = tmp_path / "secmon.toml"
    target.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def test_it_loads(placed: Path) -> None:
    loaded = config.load(placed)
    assert [zone.id for zone in loaded.zones] == ["lgwan", "mynumber", "internet"]
    assert loaded.mail.password == "secret"


def test_it_names_every_setting() -> None:
    sections = {name for name, _ in tables()}
    lacking = [
        f"{table}.{field.name}"
        for table, kind in tables()
        for field in msgspec.structs.fields(kind)
        if field.name not in sections and not re.search(rf"^#?{field.name} = ", text_of(table), re.MULTILINE)
    ]
    assert not lacking
    assert len(sections) > 5


def test_it_tells_the_defaults_as_they_are() -> None:
    wrong = []
    for table, kind in tables():
        defaults = {field.name: _default(field) for field in msgspec.structs.fields(kind)}
        for line in SETTING.findall(text_of(table)):
            ((name, value),) = tomllib.loads(line).items()
            if name not in defaults or defaults[name] != value:
                wrong.append(f"[{table}] {line}")
    assert not wrong


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def test_it_still_loads_with_every_default_written_out(placed: Path) -> None:
    before = config.load(placed)
    placed.write_text(SETTING.sub(r"\1", placed.read_text(encoding="utf-8")), encoding="utf-8")
    assert config.load(placed) == before
