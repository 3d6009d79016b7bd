"""The order of versions, and until when a product is supported."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.versions import version_cmp


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0+b1"),
        ("1.0", "1.0.1"),
        ("1.0-1", "1.0-2"),
        ("1.0-1", "1.0-1+deb12u1"),
        ("9.9", "1:0.1"),
        ("1.0a", "1.0+"),
        ("1.0", "1.0a"),
        ("3.0.15-1~deb12u1", "3.0.15-1"),
        ("10.0.26100.999", "10.0.26100.1000"),
        ("2.36-9+deb12u9", "2.36-9+deb12u10"),
    ],
)
def test_versions_order_as_debian_orders_them(older: str, newer: str) -> None:
    assert (version_cmp(older, newer), version_cmp(newer, older)) == (-1, 1)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("0:1", "1"), ("1.0-0", "1.0"), ("01.2", "1.2")])
def test_versions_that_differ_in_writing_only_are_equal(one: str, other: str) -> None:
    assert version_cmp(one, other) == 0


VERSIONS = st.text(alphabet="0129az.~+-:", max_size=8)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_an_order(a: str, b: str, c: str) -> None:
    assert version_cmp(a, b) == -version_cmp(b, a)
    if version_cmp(a, b) <= 0 and version_cmp(b, c) <= 0:
        assert version_cmp(a, c) <= 0


@pytest.mark.parametrize(
    ("product", "cycle", "edition", "end"),
    [
        ("debian", "12", "", datetime(2028, 7, 1, tzinfo=UTC)),
        ("ubuntu", "22.04", "", datetime(2027, 4, 2, tzinfo=UTC)),
        ("rocky", "9.4", "", datetime(2032, 6, 1, tzinfo=UTC)),
        ("windows", "26100", "Professional", datetime(2026, 10, 14, tzinfo=UTC)),
        ("windows", "26100", "Enterprise", datetime(2027, 10, 13, tzinfo=UTC)),
        ("windows", "26100", "EnterpriseS", datetime(2029, 10, 10, tzinfo=UTC)),
        ("windows", "19045", "Professional", datetime(2025, 10, 15, tzinfo=UTC)),
        ("windows-server", "14393", "ServerStandard", datetime(2027, 1, 13, tzinfo=UTC)),
        ("windows", "26100", "", None),
        ("windows", "26100", "SomethingNew", None),
        ("debian", "1", "", None),
        ("debian", "", "", None),
        ("hannah-montana-linux", "1", "", None),
    ],
)
def test_it_knows_the_end_of_support(
    rules: RuleSet, product: str, cycle: str, edition: str, end: datetime | None
) -> None:
    assert rules.lifecycle.end_of_support(product, cycle, edition) == end


def test_no_edition_has_two_dates(rules: RuleSet) -> None:
    for product in rules.lifecycle.products.values():
        for row in product.cycles:
            same = [other for other in product.cycles if other.cycle == row.cycle and other is not row]
            assert not any(set(row.editions) & set(other.editions) for other in same)
            assert row.editions or not any(not other.editions for other in same)
