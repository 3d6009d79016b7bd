"""Until when a product gets security fixes without a contract: the data of `rules/lifecycle/`, and looking it up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct


class Cycle(Struct, frozen=True, kw_only=True):
    """One release of a product."""

    cycle: str
    """`VERSION_ID` of Linux as far as it names a release ("12", "22.04", "9"), or the build of Windows ("26100")."""
    until: date
    """Last day of security fixes that come without a contract."""
    editions: tuple[str, ...] = ()
    """Windows: the EditionIDs that this date holds for; empty means all that no other row names."""
    label: str = ""


class Product(Struct, frozen=True, kw_only=True):
    product: str
    """`os.id`."""
    source: str
    as_of: date
    cycles: tuple[Cycle, ...]


class Lifecycle(Struct, frozen=True, kw_only=True):
    products: Mapping[str, Product] = {}

    def find(self, product: str, cycle: str, edition: str = "") -> Cycle | None:
        """The release that `cycle` belongs to ("9.4" belongs to "9"); None where nothing is known of it."""
        known = self.products.get(product)
        if known is None:
            return None
        found = [row for row in known.cycles if cycle == row.cycle or cycle.startswith(row.cycle + ".")]
        exact = [row for row in found if edition and edition in row.editions]
        return next(iter(exact or [row for row in found if not row.editions]), None)

    def end_of_support(self, product: str, cycle: str, edition: str = "") -> datetime | None:
        """The first instant without support: the end of the last day, in UTC."""
        found = self.find(product, cycle, edition)
        return datetime.combine(found.until + timedelta(days=1), time(), UTC) if found else None
