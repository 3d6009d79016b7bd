"""The table that `make bench` prints."""

from __future__ import annotations

import sys

import pytest

from tests.bench.figures import Figure, ratio, table, verdict

PEER = Figure(measure="cpu", subject="peer", value=2.0, unit="s")
OURS = Figure(measure="cpu", subject="ours", value=1.0, unit="s", against="peer", at_most=0.4)


def test_it_holds_a_figure_against_its_peer_of_the_same_run() -> None:
    assert ratio(OURS, [PEER, OURS]) == 0.5
    assert verdict(OURS, [PEER, OURS]) == "bar ≤ 0.4 ×: missed"


def test_it_compares_with_nobody_when_the_peer_was_not_measured() -> None:
    assert ratio(OURS, [OURS]) is None
    assert verdict(OURS, [OURS]) == "not comparable"


def test_it_does_not_mix_measures() -> None:
    other = Figure(measure="memory", subject="peer", value=2.0, unit="s")
    assert ratio(OURS, [other, OURS]) is None


@pytest.mark.parametrize(("value", "expected"), [(4000.0, "held"), (3999.0, "missed")])
def test_it_takes_a_bar_without_a_peer_as_a_bound_of_the_value(value: float, expected: str) -> None:
    figure = Figure(measure="rate", subject="ours", value=value, unit="/s", at_least=4000.0)
    assert verdict(figure, [figure]) == f"bar ≥ 4000 /s: {expected}"


def test_it_prints_one_aligned_line_for_each_figure() -> None:
    assert table([PEER, OURS]).splitlines() == [
        "cpu  peer  2  s",
        "cpu  ours  1  s  0.50 × peer  bar ≤ 0.4 ×: missed",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux, not Windows, tells what a child used")
def test_it_measures_the_program_and_not_itself() -> None:
    from tests.bench.child import cost

    held = bytearray(200 << 20)  # what this process holds must not count
    spent = cost([sys.executable, "-c", "bytearray(64 << 20); sum(range(3_000_000))"])
    assert len(held) > spent.peak_bytes >= 64 << 20
    assert spent.cpu_s > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux, not Windows, tells what a child used")
def test_it_does_not_call_a_failed_program_cheap() -> None:
    from tests.bench.child import cost

    with pytest.raises(RuntimeError, match="out of order"):
        cost([sys.executable, "-c", "raise SystemExit('out of order')"])
