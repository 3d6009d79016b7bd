"""What becomes an entry of the Event Log."""

from __future__ import annotations

import pytest

from secmon_agent.journal import ENROLLMENT, TROUBLE, TROUBLE_OVER, Journal

DOWN = "collector c.example:8443: timed out"
OVER = (TROUBLE_OVER, "reports reach the collector again")


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        (["1 delivered", "2 delivered, 1 dropped as too many or too old"], []),
        ([f"0 delivered, 1 waiting: {DOWN}", f"0 delivered, 2 waiting: {DOWN}"], [(TROUBLE, DOWN)]),
        (["1 delivered, 1 key changed", "1 delivered"], []),
        ([DOWN, f"0 delivered, 1 waiting: {DOWN}", "2 delivered", "1 delivered"], [(TROUBLE, DOWN), OVER]),
        ([DOWN, "the disk is full", "1 delivered"], [(TROUBLE, DOWN), (TROUBLE, "the disk is full"), OVER]),
        (["enrolled at c.example:8443; 1 delivered"], [(ENROLLMENT, "enrolled at c.example:8443")]),
        (
            [DOWN, f"enrolled at [2001:db8::1]:8443; 0 delivered, 1 waiting: {DOWN}"],
            [(TROUBLE, DOWN), (ENROLLMENT, "enrolled at [2001:db8::1]:8443")],
        ),
    ],
)
def test_it_writes_what_begins_and_what_ends(lines: list[str], events: list[tuple[int, str]]) -> None:
    written: list[tuple[int, str]] = []
    journal = Journal(lambda event, text: written.append((event, text)))
    for line in lines:
        journal.note(line)
    assert written == events
