"""Secrets in the state folder: whole after any end, and protected by Windows where there is Windows.

Elsewhere the rights of the folder protect them. On Windows a file begins with a mark; one without it was written before
secrets were protected.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Protocol

from secmon_agent import durable
from secmon_agent.errors import AgentError, StorageError

MARK: Final = b"secmon protected 1\n"


class Vault(Protocol):
    def protect(self, data: bytes) -> bytes:
        """Raises OSError."""
        ...

    def unprotect(self, data: bytes) -> bytes:
        """Raises OSError for what this machine did not protect."""
        ...


def machine_vault() -> Vault | None:
    """None where the rights of the folder are all there is."""
    if sys.platform != "win32":
        return None
    from secmon_agent import dpapi_windows

    return dpapi_windows


def write(path: Path, secret: bytes, vault: Vault | None = None) -> None:
    vault = vault or machine_vault()
    if vault is not None:
        try:
            secret = MARK + vault.protect(secret)
        except OSError as error:
            raise StorageError(f"cannot protect {path}: {error}") from None
    durable.write(path, secret)


def read(path: Path, vault: Vault | None = None) -> bytes | None:
    """The secret in `path`, None when there is no such file.

    Raises AgentError for one that another machine protected or that was damaged, and StorageError.
    """
    vault = vault or machine_vault()
    data = durable.read(path)
    if data is None:
        return None
    if data.startswith(MARK):
        return _opened(path, data.removeprefix(MARK), vault)
    return data


def protect_plain(path: Path, secret: bytes, vault: Vault | None = None) -> None:
    """Protect a file that was written before secrets were, now that its `secret` is known to be whole."""
    vault = vault or machine_vault()
    data = durable.read(path)
    if vault is not None and data is not None and not data.startswith(MARK):
        write(path, secret, vault)


def _opened(path: Path, data: bytes, vault: Vault | None) -> bytes:
    why = "this is no Windows"
    if vault is not None:
        try:
            return vault.unprotect(data)
        except OSError as error:
            why = str(error)
    raise AgentError(f"{path} was protected on another machine, or is damaged ({why}); remove it, then enroll again")
