"""Taking over policies of other tools."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from secmon.commands.common import note, say
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.sca.convert import convert
from secmon.sca.policy import MAX_POLICY_BYTES, read_policy


def rules_import_sca(options: Namespace, _: Config) -> int:
    """0 when every check was taken over, 1 when some could not be."""
    file, folder = Path(options.file), Path(options.out)
    try:
        with file.open("rb") as stream:
            policy = read_policy(stream.read(MAX_POLICY_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    made, refused = convert(policy, options.severity)
    try:
        for check in made:
            place = folder / "checks" / check.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(check.content)
            say(f"{place}")
    except OSError as error:
        raise Failure(f"{folder}: cannot be written: {error.strerror}") from None
    for each in refused:
        say(f"{each.id} cannot be taken over: {each.title}")
        for reason in each.reasons:
            say(f"  {reason}")
    if policy.requirements is not None:
        note("the policy's requirements are not asked: each check says itself which machines it is about")
    note(f"{len(made)} of {len(made) + len(refused)} checks; try them with `secmon rules try {folder / 'checks'}`")
    return 1 if refused else 0
