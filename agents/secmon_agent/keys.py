"""The agent's signing key: made on this machine, never leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secmon_agent import durable, identity, secret
from secmon_agent.errors import AgentError, StorageError

if TYPE_CHECKING:
    from nacl.signing import SigningKey

KEY_FILE = "agent.key"
NEXT_FILE = KEY_FILE + ".next"
"""The key that is to follow, until the collector has taken it."""
ROTATION_FILE = "rotation"
"""The envelope by which this key followed the one before, for a collector that was restored to before that."""
SEED_BYTES = 32


def load(state_dir: Path, name: str = KEY_FILE) -> SigningKey | None:
    """The key whose 32-byte seed lies in `state_dir`; None when there is none yet."""
    path = state_dir / name
    seed = secret.read(path)
    if seed is None:
        return None
    if len(seed) != SEED_BYTES:
        raise AgentError(f"{path} holds {len(seed)} bytes and not a key; restore it, or remove it and enroll again")
    secret.protect_plain(path, seed)
    from nacl.signing import SigningKey

    return SigningKey(seed)


def load_or_create(state_dir: Path, name: str = KEY_FILE) -> SigningKey:
    key = load(state_dir, name)
    if key is None:
        from nacl.signing import SigningKey

        key = SigningKey.generate()
        secret.write(state_dir / name, bytes(key))
    return key


def settle(state_dir: Path) -> None:
    """Put the key into place that `identity.json` names already; raises StorageError."""
    if _follows(state_dir):
        durable.move(state_dir / NEXT_FILE, state_dir / KEY_FILE)


def present(state_dir: Path) -> SigningKey | None:
    """The agent's key as `settle` would leave it, for those who only look."""
    return load(state_dir, NEXT_FILE if _follows(state_dir) else KEY_FILE)


def _follows(state_dir: Path) -> bool:
    """Whether the next key is the agent's already. One that cannot be read is not known to be."""
    if not (state_dir / NEXT_FILE).exists():
        return False
    from secmon_agent import wire

    try:
        where, key = identity.load(state_dir), load(state_dir, NEXT_FILE)
    except StorageError:
        raise
    except AgentError:
        return False
    return where is not None and key is not None and where.key_id == wire.key_id(bytes(key.verify_key))
