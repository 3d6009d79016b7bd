"""An agent over its locked state folder: what every command that reports begins with."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from secmon_agent import clone, config, durable, identity, invited, keys, state
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.identity import Identity

LOCK_FILE = "lock"
RUNNING_FILE = "running"
"""Lock of the one that stays; it holds `lock`, as others do, only while it reports."""
OWN_FILES = {
    LOCK_FILE,
    RUNNING_FILE,
    keys.KEY_FILE,
    identity.IDENTITY_FILE,
    invited.INVITATION_FILE,
    clone.NOTE_FILE,
    state.STATE_FILE,
    "memory",
    "agent.toml",
}
"""By one of these a folder that is in use is known as the agent's."""


def opened(config_file: str | None, state_dir: str | None) -> tuple[Config, Path]:
    """The settings and the state folder that these arguments name."""
    settings = config.load(None if config_file is None else Path(config_file))
    return settings, config.state_dir(settings, state_dir)


@contextlib.contextmanager
def alone(state_dir: Path, lock: str = LOCK_FILE) -> Iterator[None]:
    """The state folder, created and locked against a second process."""
    _refuse_foreign(state_dir)
    as_owner(state_dir)
    durable.private_directory(state_dir)
    with durable.exclusive(state_dir / lock):
        yield


def as_owner(state_dir: Path) -> None:
    """On Linux root becomes the owner of the service's folder before it touches it. Raises AgentError."""
    if sys.platform == "linux" and os.geteuid() == 0:
        from secmon_agent import own_user_linux

        own_user_linux.become_owner(state_dir)


def _refuse_foreign(state_dir: Path) -> None:
    """What becomes the agent's alone must not be a folder that others need."""
    with contextlib.suppress(OSError):
        names = {path.name for path in state_dir.iterdir()}
        if names and names.isdisjoint(OWN_FILES):
            raise ConfigError(f"{state_dir} holds files that are not the agent's; name an empty folder or a new one")


def has_an_aim(state_dir: Path) -> bool:
    """Whether there is a collector to report to, or one to enroll at."""
    return any((state_dir / name).exists() for name in (identity.IDENTITY_FILE, invited.INVITATION_FILE))


def joined(state_dir: Path, settings: Config) -> Identity | None:
    """Enrolls by a string that waits, or asks again where the enrollment is pending; the answer if either was so.

    What an end in the middle left half done of the key is finished first."""
    keys.settle(state_dir)
    clone.settle(state_dir)
    if invited.waits(state_dir):
        return invited.follow(state_dir, settings)
    where = identity.load(state_dir)
    if where is None or where.status != "pending":
        return None
    from secmon_agent.enroll import ask, host_facts

    key = keys.load(state_dir)
    if key is None:
        raise AgentError(f"the key in {state_dir} is gone; enroll again")
    return ask(state_dir, settings, where, key, host_facts(state_dir))


def pending_line(answer: Identity) -> str:
    why = f" ({answer.reason})" if answer.reason else ""
    return (
        f"the enrollment at {answer.address} waits for approval{why}; somebody approves it there with "
        "`secmon enrollment approve`, then run the same command again or leave it to `secmon-agent run`"
    )
