"""The agent's signing key: made on this machine, never leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secmon_agent import secret
from secmon_agent.errors import AgentError

if TYPE_CHECKING:
    from nacl.signing import SigningKey

KEY_FILE = "agent.key"
SEED_BYTES = 32


def load(state_dir: Path) -> SigningKey | None:
    """The key whose 32-byte seed lies in `state_dir`; None when there is none yet."""
    path = state_dir / KEY_FILE
    seed = secret.read(path)
    if seed is None:
        return None
    if len(seed) != SEED_BYTES:
        raise AgentError(f"{path} holds {len(seed)} bytes and not a key; restore it, or remove it and enroll again")
    secret.protect_plain(path, seed)
    from nacl.signing import SigningKey

    return SigningKey(seed)


def load_or_create(state_dir: Path) -> SigningKey:
    key = load(state_dir)
    if key is None:
        from nacl.signing import SigningKey

        key = SigningKey.generate()
        secret.write(state_dir / KEY_FILE, bytes(key))
    return key
