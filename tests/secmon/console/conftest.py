"""A console over a small office."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secmon.console.browsing import Browser
from tests.support.office import Office


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Office]:
    """An office on SQLite: what is asked here does not depend on the database."""
    built = Office(tmp_path)
    yield built
    built.database.close()


@pytest.fixture
def visitor(town: Office) -> Iterator[Browser]:
    """Without a session."""
    browser = Browser(town)
    with browser.client:
        yield browser


@pytest.fixture
def browser(visitor: Browser) -> Browser:
    return visitor.sign_in()
