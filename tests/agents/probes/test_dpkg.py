"""dpkg's status file."""

from __future__ import annotations

import io
import shutil
import subprocess  # noqa: TID251 - dpkg-query is the witness
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon_agent import collect
from secmon_agent.host import Host, TooLargeError
from secmon_agent.probes import deb822, dpkg

names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,12}", fullmatch=True)
packages = st.builds(
    dpkg.Installed, names, st.from_regex(r"[0-9][0-9a-z.+~-]{0,8}", fullmatch=True), st.sampled_from(["amd64", "all"]),
    st.booleans(),
)  # fmt: skip
noise = st.sampled_from(["", "Description: text\n .\n Package: no-package\n", "Conffiles:\n /etc/x 0123\n"])


def _stanza(package: dpkg.Installed, extra: str) -> str:
    want = "hold" if package.held else "install"
    head = f"Package: {package.name}\nStatus: {want} ok installed\n{extra}"
    return f"{head}Architecture: {package.architecture}\nVersion: {package.version}\n"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(packages, noise), max_size=6))
def test_it_reads_what_dpkg_writes(rows: list[tuple[dpkg.Installed, str]]) -> None:
    text = "\n".join(_stanza(package, extra) for package, extra in rows)
    assert list(dpkg.parse_status(io.BytesIO(text.encode()))) == [package for package, _ in rows]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_stanzas_do_not_depend_on_how_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    chunks, rest = [], data
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert list(deb822.stanzas([*chunks, rest])) == list(deb822.stanzas([data]))


def test_a_removed_package_is_not_installed(make_host: Callable[..., Host]) -> None:
    removed = "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n"
    text = f"{removed}\nPackage: b\nStatus: install ok unpacked\nVersion: 2\n"
    assert [it.name for it in dpkg.installed(make_host({dpkg.STATUS: text}))] == ["b"]


def test_it_refuses_an_endless_stanza() -> None:
    endless = (b"x" * (1 << 20) for _ in range(100))
    with pytest.raises(TooLargeError):
        list(deb822.stanzas(endless))


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs dpkg as witness")
def test_it_agrees_with_dpkg_query() -> None:
    out = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    expected = {tuple(line.split()[1:]) for line in out.splitlines() if line.startswith("installed ")}
    found = {(it.name, it.version, it.architecture) for it in dpkg.installed(collect.live_host(None))}
    assert found == expected
