"""Questions to Windows: what errors of COM mean, and what a running WMI answers."""

from __future__ import annotations

import sys

import pytest

from secmon_agent.collect import reason_of, status_of
from secmon_agent.host import ProbeError, UnsupportedError
from secmon_agent.questions import com, wmi

windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")


class ComError(Exception):
    """Shaped as pywintypes.com_error is."""

    def __init__(self, hresult: int, excepinfo: tuple[object, ...] | None = None) -> None:
        super().__init__(hresult, "予期しないエラー", excepinfo, None)
        self.hresult = hresult
        self.excepinfo = excepinfo


def _outer(inner: int) -> ComError:
    return ComError(-2147352567, (0, "SWbemServicesEx", "アクセスが拒否されました", None, 0, inner))


@pytest.mark.parametrize(
    ("error", "status", "number"),
    [
        (ComError(-2145107924), "failed", "0x8024402C"),
        (_outer(-2147217405), "denied", "0x80041003"),
        (ComError(-2147024891), "denied", "0x80070005"),
        (_outer(-2147217394), "unsupported", "0x8004100E"),
        (_outer(-2147217392), "unsupported", "0x80041010"),
        (_outer(0), "failed", "0x80020009"),
        (ComError(-2147467263), "failed", "0x80004001"),
    ],
)
def test_an_error_of_com_travels_as_its_number(error: ComError, status: str, number: str) -> None:
    with pytest.raises(ProbeError) as raised, com.asking("the question"):
        raise error
    assert status_of(raised.value) == status
    assert reason_of(raised.value).removeprefix("ProbeError: ") == f"the question: error {number}"


def test_an_error_that_is_none_of_com_stays_itself() -> None:
    with pytest.raises(KeyError), com.asking("it"):
        raise KeyError("x")


@windows
def test_a_running_windows_answers_a_query() -> None:
    (found,) = wmi.query(r"root\cimv2", "Win32_OperatingSystem", ["buildnumber", "Version"])
    assert (sorted(found), found["buildnumber"].isdecimal()) == (["Version", "buildnumber"], True)


@windows
def test_a_field_that_the_class_does_not_have_is_left_out() -> None:
    (found,) = wmi.query(r"root\cimv2", "Win32_OperatingSystem", ["BuildNumber", "NoSuchField"])
    assert list(found) == ["BuildNumber"]


@windows
@pytest.mark.parametrize(("namespace", "name"), [(r"root\NoSuch", "Win32_Tpm"), (r"root\cimv2", "Win32_NoSuch")])
def test_without_its_namespace_or_class_nothing_is_told(namespace: str, name: str) -> None:
    with pytest.raises(UnsupportedError):
        wmi.query(namespace, name, ["X"])
