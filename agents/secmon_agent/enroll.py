"""Enrollment: trust the site CA that the enrollment string names, bring the own key, remember the collector.

The token leaves this machine only over a connection that the CA has vouched for. Asking again is harmless: the
collector knows the request by its key.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace
from nacl.signing import SigningKey

from secmon_agent import __version__, clone, durable, facts, identity, keys, machine, state, transport, wire
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, printable
from secmon_agent.identity import Identity
from secmon_agent.invitation import Invitation

WHAT_TO_DO = {
    "token-unknown": "ask for a new enrollment string and copy it as a whole",
    "token-expired": "ask for a new enrollment string",
    "token-used-up": "ask for a new enrollment string, or for one that may be used more often",
    "token-network": "ask for an enrollment string for this machine's network",
    "enrollment-refused": "ask whoever runs the collector",
    "unknown-format": "upgrade the collector, then enroll again",
    "revoked-key": f"remove {keys.KEY_FILE} from the state folder and enroll with a new enrollment string",
}
"""For each problem that refuses an enrollment."""


def enroll(
    state_dir: Path, config: Config, invitation: Invitation, host: facts.Host, asset_number: str = ""
) -> Identity:
    """Enroll this machine, or ask again, over a locked state folder. Raises AgentError with what to do."""
    keys.settle(state_dir)
    clone.settle(state_dir)
    key = keys.load_or_create(state_dir)
    current = identity.undamaged(state_dir)
    waiting = Identity(
        host=invitation.host,
        port=invitation.port,
        ca_sha256=invitation.ca_sha256,
        ca=_ca(config, invitation, current),
        status="pending",
        token=invitation.token,
        asset_number=asset_number,
    )
    return ask(state_dir, config, waiting, key, host)


def _ca(config: Config, invitation: Invitation, current: Identity | None) -> bytes:
    """The certificate that the invitation names, fetched from the collector unless it is here already."""
    here = [current.ca] if current is not None else []
    if config.ca_file is not None:
        here = identity.certificates(Path(config.ca_file))
    for certificate in here:
        if hashlib.sha256(certificate).digest() == invitation.ca_sha256:
            return certificate
    if config.ca_file is not None:
        raise AgentError(f"{config.ca_file} does not hold the CA certificate that the enrollment string names")
    return transport.fetch_ca(
        invitation.host, invitation.port, invitation.ca_sha256, proxy=config.proxy, timeout_s=config.timeout_s
    )


def ask(state_dir: Path, config: Config, waiting: Identity, key: SigningKey, host: facts.Host) -> Identity:
    """Send the request of a pending `waiting` and remember the answer."""
    collector = transport.Collector(
        waiting.host,
        waiting.port,
        identity.trusted(config, waiting),
        proxy=config.proxy,
        timeout_s=config.timeout_s,
    )
    body = wire.seal(wire.ENROLLMENT_TYPE, request(waiting, key, host), key)
    try:
        reply = collector.post("/v1/enrollments", body, wire.key_id(bytes(key.verify_key)))
    finally:
        collector.close()
    answer = _answer(waiting, reply)
    enrolled = answer.status == "enrolled"
    result = replace(
        waiting,
        status="enrolled" if enrolled else "pending",
        token="" if enrolled else waiting.token,
        asset_number="" if enrolled else waiting.asset_number,
        reason="" if enrolled else printable(answer.reason),
        collector_id=answer.collector_id,
        key_id=wire.key_id(bytes(key.verify_key)),
        enrolled_at=datetime.now(UTC).replace(microsecond=0) if enrolled else None,
        key_since=answer.server_time if enrolled else None,
    )
    if enrolled:
        _begin(state_dir, answer, reply.at_s)
        for name in (keys.NEXT_FILE, keys.ROTATION_FILE):
            durable.remove(state_dir / name)
    identity.save(state_dir, result)
    return result


def _answer(waiting: Identity, reply: transport.Reply) -> wire.EnrollmentAnswer:
    where = f"collector {waiting.address}"
    if reply.status in (200, 202):
        try:
            answer = wire.read_answer(reply.body)
        except wire.WireError as error:
            raise AgentError(f"{where}: its answer is no enrollment answer: {error}") from None
        if answer.status == ("enrolled" if reply.status == 200 else "pending"):
            return answer
        raise AgentError(f"{where}: its answer {answer.status!r} does not fit HTTP status {reply.status}")
    name = reply.problem().type.removeprefix(wire.PROBLEM_PREFIX)
    advice = WHAT_TO_DO.get(name, "try again later" if reply.status >= 500 else "ask whoever runs the collector")
    raise AgentError(f"{where} did not enroll this machine: {reply.says()}; {advice}")


def _begin(state_dir: Path, answer: wire.EnrollmentAnswer, at_s: float) -> None:
    """Start or continue the agent's state: another collector or generation knows nothing of what was acknowledged."""
    current = state.load(state_dir)
    if current is None or (current.collector_id, current.generation) != (answer.collector_id, answer.generation):
        current = state.new_stream(current or state.new_state())
    begun = replace(
        current,
        collector_id=answer.collector_id,
        generation=answer.generation,
        interval_s=min(max(answer.interval_s, wire.MIN_INTERVAL_S), wire.MAX_INTERVAL_S),
        offset_s=transport.clock_offset_s(answer.server_time, at_s),
    )
    state.save(state_dir, begun)


def request(waiting: Identity, key: SigningKey, host: facts.Host) -> wire.EnrollmentRequest:
    """The request with the machine's names as section `host` reports them."""
    hostname = host.hostname or socket.gethostname().split(".")[0] or "unnamed"
    return wire.EnrollmentRequest(
        public_key=bytes(key.verify_key),
        token=waiting.token,
        hostname=hostname[:255],
        agent_version=__version__,
        family="windows" if sys.platform == "win32" else "linux",
        machine_id=machine.machine_id() or UNSET,
        serial=host.serial[:128] if host.serial else UNSET,
        asset_number=waiting.asset_number[:64] or UNSET,
    )


def host_facts(state_dir: Path) -> facts.Host:
    """Section `host` of this machine, without anything where it could not be read."""
    from secmon_agent.collect import collect, live_host

    section = collect(live_host(state_dir), ["host"]).get("host")
    if section is None or section.data is UNSET:
        return facts.Host()
    decoded = wire.decode_facts("host", section.data)
    return decoded if isinstance(decoded, facts.Host) else facts.Host()
