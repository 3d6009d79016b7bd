"""The order of Debian versions is dpkg's."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - dpkg is the witness

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon_agent.probes.deb_version import version_key

upstreams = st.from_regex(r"[0-9][0-9a-zA-Z.+~]{0,8}", fullmatch=True)
revisions = st.from_regex(r"(-[0-9a-zA-Z.+~]{1,5})?", fullmatch=True)
versions = st.builds("{}{}{}".format, st.sampled_from(["", "0:", "1:"]), upstreams, revisions)
near = st.builds(
    "1{}{}".format, st.from_regex(r"[0-1a.+~]{0,4}", fullmatch=True), st.from_regex(r"(-[01a~]{1,3})?", fullmatch=True)
)


def order(left: str, right: str) -> str:
    low, high = version_key(left), version_key(right)
    return "lt" if low < high else "gt" if low > high else "eq"


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg as witness")
@settings(max_examples=120, deadline=None)
@given(st.tuples(versions, versions) | st.tuples(near, near))
def test_it_orders_versions_as_dpkg_does(pair: tuple[str, str]) -> None:
    left, right = pair
    relation = order(left, right)
    assert subprocess.run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0


@pytest.mark.parametrize(
    ("left", "relation", "right"),
    [
        ("1.0~rc1", "lt", "1.0"),
        ("1.0", "eq", "0:1.0-0"),
        ("1.0-1", "lt", "1.0-1+deb12u1"),
        ("1:0.1", "gt", "9.9"),
        ("1.09", "eq", "1.9"),
        ("1.0a", "lt", "1.0+"),
        ("2.35-0ubuntu3.10", "gt", "2.35-0ubuntu3.9"),
        ("1.0-", "eq", "1.0"),
        ("1.0-~", "lt", "1.0"),
    ],
)
def test_it_knows_the_corners(left: str, relation: str, right: str) -> None:
    assert order(left, right) == relation
