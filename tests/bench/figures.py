"""What a bench yields, and how its figures are held against others of the same run."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Note(Struct, frozen=True, kw_only=True):
    """A line for the reader: a peer that is missing, a condition that matters."""

    text: str


class Figure(Struct, frozen=True, kw_only=True):
    """One measured number."""

    measure: str
    """What is measured, e.g. "agent CPU"; figures of one measure and unit can be compared."""
    subject: str
    """Whose number it is, e.g. "secmon-agent, cold"."""
    value: float
    unit: str
    against: str = ""
    """Subject of the same measure that this one is held against."""
    at_most: float | None = None
    """Bar: of the ratio where `against` is named, of the value otherwise."""
    at_least: float | None = None


def ratio(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """How many times the figure is what it is held against; None when that was not measured in this run."""
    for other in figures:
        if (other.measure, other.unit, other.subject) == (figure.measure, figure.unit, figure.against):
            return figure.value / other.value if other.value else None
    return None


def verdict(figure: Figure, figures: Sequence[Figure]) -> str:
    """The bar and whether it is held: `held`, `missed`, or `not comparable` without the peer."""
    if figure.at_most is None and figure.at_least is None:
        return ""
    number = ratio(figure, figures) if figure.against else figure.value
    if number is None:
        return "not comparable"
    held = (figure.at_most is None or number <= figure.at_most) and (
        figure.at_least is None or number >= figure.at_least
    )
    return f"bar {_bar(figure)}: {'held' if held else 'missed'}"


def _bar(figure: Figure) -> str:
    bounds = [("≤", figure.at_most), ("≥", figure.at_least)]
    unit = " ×" if figure.against else f" {figure.unit}"
    return ", ".join(f"{sign} {bound:g}{unit}" for sign, bound in bounds if bound is not None)


def table(figures: Sequence[Figure]) -> str:
    """All figures as aligned columns: measure, subject, value, ratio, bar."""
    rows = [
        (
            figure.measure,
            figure.subject,
            f"{figure.value:,.3g}" if figure.value < 100 else f"{figure.value:,.0f}",
            figure.unit,
            _ratio_text(figure, figures),
            verdict(figure, figures),
        )
        for figure in figures
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _ratio_text(figure: Figure, figures: Sequence[Figure]) -> str:
    number = ratio(figure, figures) if figure.against else None
    return "" if number is None else f"{number:.2f} × {figure.against}"


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column == 2 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*cells, row[5]]).rstrip()
