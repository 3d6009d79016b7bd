"""Where `rules/` and `dashboards/` lie: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name} is missing from this installation")


def rules_dir() -> Path:
    return _folder("rules")


def dashboards_dir() -> Path:
    return _folder("dashboards")
