"""An enrollment string that waits, protected, until the collector can be reached: many are set up elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secmon_agent import durable, identity, keys, secret
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from secmon_agent.identity import Identity

if TYPE_CHECKING:
    from secmon_agent.invitation import Invitation

INVITATION_FILE = "invitation"


def keep(state_dir: Path, invited: Invitation) -> bool:
    """Keep the string for later; False where the machine is enrolled already and needs none."""
    if _is_enrolled(state_dir):
        return False
    secret.write(state_dir / INVITATION_FILE, str(invited).encode())
    return True


def waits(state_dir: Path) -> bool:
    return (state_dir / INVITATION_FILE).exists()


def follow(state_dir: Path, config: Config) -> Identity | None:
    """Enroll by the string that waits; None when there is none. Raises AgentError, and then it goes on waiting."""
    path = state_dir / INVITATION_FILE
    if _is_enrolled(state_dir):
        durable.remove(path)
    kept = secret.read(path)
    if kept is None:
        return None
    from secmon_agent import enroll, invitation

    try:
        invited = invitation.parse(kept.decode("utf-8", "replace"))
    except ValueError:
        aside = path.with_name(INVITATION_FILE + durable.DAMAGED)
        durable.move(path, aside)
        raise AgentError(f"the enrollment string that waited was damaged and is now {aside}; enroll again") from None
    answer = enroll.enroll(state_dir, config, invited, enroll.host_facts(state_dir))
    durable.remove(path)
    return answer


def _is_enrolled(state_dir: Path) -> bool:
    """Without its key an identity is worth nothing."""
    where = identity.undamaged(state_dir)
    return where is not None and where.status == "enrolled" and (state_dir / keys.KEY_FILE).exists()
