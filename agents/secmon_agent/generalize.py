"""Preparing a master image: whatever makes this machine itself at the collector leaves it, so that no copy can be it.

The key goes first: without it the rest is worth nothing, wherever this is interrupted. The string by which each copy is
to enroll comes last, when nothing is left that it could be mixed up with. All of it may be done again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from secmon_agent import clone, durable, invited, keys, leavings

if TYPE_CHECKING:
    from secmon_agent.invitation import Invitation

_KEYS: Final = keys.KEY_FILE + "*"
"""The key, one that was set aside, and what an interrupted write left of one."""
MEMORY_DIR: Final = "memory"


def generalize(state_dir: Path, laid: Invitation | None) -> bool:
    """Over a state folder of which the caller holds both locks; whether a string waits there afterwards.

    Without `laid` a string that waits already stays. The string is not protected as others are: Windows would protect
    it for this machine, and a copy that `sysprep` has changed could not read it. The folder's rights guard it.
    """
    keys.settle(state_dir)  # which is the key must be sure before it goes
    durable.remove(state_dir / keys.KEY_FILE)
    for path in sorted(state_dir.glob(_KEYS)):
        durable.remove(path)
    leavings.clear(state_dir)
    leavings.empty(state_dir / MEMORY_DIR)
    durable.remove(state_dir / clone.NOTE_FILE)
    if laid is not None:
        durable.write(state_dir / invited.INVITATION_FILE, str(laid).encode())
    return invited.waits(state_dir)
