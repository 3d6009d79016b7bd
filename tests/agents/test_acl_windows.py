"""The state folder on Windows: whose it is, and who may enter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from secmon_agent import durable
from secmon_agent.errors import StorageError

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="access control lists are those of Windows")

EVERYBODY = ("WD", "BU", "AU", "IU")


def rights(path: Path) -> str:
    import win32security

    found = win32security.GetNamedSecurityInfo(
        str(path), win32security.SE_FILE_OBJECT, win32security.DACL_SECURITY_INFORMATION
    )
    return str(
        win32security.ConvertSecurityDescriptorToStringSecurityDescriptor(
            found, win32security.SDDL_REVISION_1, win32security.DACL_SECURITY_INFORMATION
        )
    )


@pytest.mark.parametrize("existed", [False, True])
def test_it_keeps_everybody_else_out(tmp_path: Path, *, existed: bool) -> None:
    folder = tmp_path / "state"
    if existed:
        folder.mkdir()
        assert any(f";;;{who})" in rights(folder) for who in EVERYBODY)
    durable.private_directory(folder)
    assert "(A;OICI;FA;;;SY)" in rights(folder)
    assert not any(f";;;{who})" in rights(folder) for who in EVERYBODY)
    (folder / "file").write_bytes(b"mine")
    assert (folder / "file").read_bytes() == b"mine"


def test_it_refuses_a_folder_that_somebody_else_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from secmon_agent import acl_windows

    monkeypatch.setattr(acl_windows, "_user", lambda: "S-1-5-21-1-2-3-1001")
    (tmp_path / "agent.toml").write_text('ca_file = "planted"')
    with pytest.raises(StorageError, match=r"belongs to S-1-5-21-.* remove the folder"):
        durable.private_directory(tmp_path)
