"""What tests of the agent share: a collector over real TLS, and an agent that is enrolled there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.agents.desk import Desk
from tests.agents.server import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, collector: Collector) -> Desk:
    return Desk(tmp_path / "state", collector)
