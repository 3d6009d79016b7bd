"""Changing the agent's key: the present one signs the next, and ends with the first report that the next one signs.

The next key lies beside the present one until the collector has taken it. Then the message that it took is kept, and
`identity.json` names the new key: from that moment on it is the agent's, and the file is put into place. Wherever this
is interrupted, `keys.settle` or another try goes on; the same key offered again is answered as before.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from secmon_agent import durable, identity, keys, transport, wire
from secmon_agent.errors import AgentError, StorageError

if TYPE_CHECKING:
    from nacl.signing import SigningKey

    from secmon_agent.identity import Identity
    from secmon_agent.state import State

PATH: Final = "/v1/rotations"
LIFETIME: Final = timedelta(days=365)
SPREAD: Final = timedelta(days=30)
"""Machines that enrolled on one day do not change their keys on one day."""
PAUSE: Final = timedelta(days=1)
"""After a refusal."""


class RefusedError(AgentError):
    """The collector does not let this key be changed now."""


def is_due(where: Identity, known: State, *, asked: bool) -> bool:
    """By the collector's clock, as its last Ack told it. `asked`: by that Ack, which was of the last report."""
    now, since = known.last_ack_at, where.key_since or where.enrolled_at
    if now is None or known.last_ack_sequence != known.sequence:
        return False
    if known.rotate_after is not None and now < known.rotate_after:
        return False
    return asked or (since is not None and now - since >= LIFETIME + _jitter(where.key_id))


def _jitter(key_id: bytes) -> timedelta:
    return SPREAD * (int.from_bytes(key_id[:4], "big") / 2**32)


def rotate(
    state_dir: Path, collector: transport.Collector, key: SigningKey, where: Identity, known: State
) -> tuple[Identity, SigningKey]:
    """The identity under the new key, and the key, which is in its place then. Raises AgentError, also RefusedError.

    Over a state folder of which nothing waits in the spool: what waited there would be signed by the old key."""
    following = _following(state_dir)
    body = wire.rotation(key, following, known.stream, known.sequence)
    reply = collector.post(PATH, body, wire.key_id(bytes(key.verify_key)))
    if reply.status != 200:
        _refused(state_dir, where, reply)
    answer = _answer(where, reply, wire.key_id(bytes(following.verify_key)))
    durable.write(state_dir / keys.ROTATION_FILE, body)
    renewed = replace(where, key_id=answer.key_id, key_since=answer.server_time)
    identity.save(state_dir, renewed)
    keys.settle(state_dir)
    return renewed, following


def _following(state_dir: Path) -> SigningKey:
    """The one that was offered before, as the collector may have taken it; another where that cannot be read."""
    try:
        return keys.load_or_create(state_dir, keys.NEXT_FILE)
    except StorageError:
        raise
    except AgentError:
        durable.remove(state_dir / keys.NEXT_FILE)
        return keys.load_or_create(state_dir, keys.NEXT_FILE)


def _refused(state_dir: Path, where: Identity, reply: transport.Reply) -> None:
    said = f"the key could not be changed: collector {where.address}: {reply.says()}"
    if reply.status in (400, 404, 409, 413, 415):  # which another try with this key would not change
        durable.remove(state_dir / keys.NEXT_FILE)
        raise RefusedError(said)
    raise transport.TransportError(said)


def _answer(where: Identity, reply: transport.Reply, key_id: bytes) -> wire.RotationAnswer:
    try:
        answer = wire.read_rotation_answer(reply.body)
    except wire.WireError as error:
        raise transport.TransportError(f"collector {where.address}: its answer to a new key is none: {error}") from None
    if answer.key_id != key_id:
        raise transport.TransportError(f"collector {where.address} has taken another key than was offered")
    return answer


def introduce(state_dir: Path, collector: transport.Collector, key: SigningKey) -> bool:
    """Tell a collector that does not know this key how it followed the one before; whether it knows it now."""
    kept = message(state_dir, key)
    return kept is not None and collector.post(PATH, kept[1], kept[0]).status == 200


def message(state_dir: Path, key: SigningKey) -> tuple[bytes, bytes] | None:
    """Id of the key before this one, and the envelope by which this one followed it; None where nothing is kept."""
    body = durable.read(state_dir / keys.ROTATION_FILE)
    if body is None:
        return None
    try:
        envelope = wire.read_envelope(body)
        is_ours = wire.read_rotation(envelope).public_key == bytes(key.verify_key)
    except wire.WireError:
        return None
    return (envelope.key_id, body) if is_ours else None
