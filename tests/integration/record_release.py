"""Records what the present version says on the wire, once, when it is released; a recording is never written again.

From the top of the checkout: `python -m tests.integration.record_release`.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import msgspec
from msgspec import UNSET
from msgspec.structs import replace
from nacl.signing import SigningKey

from secmon import __version__
from secmon.app import Collector
from secmon.config import Ingest
from secmon.ingest.enrollment import pending, refuse, revoke_host
from secmon_agent import collect, durable, enroll, facts, keys, transport, wire
from secmon_agent.agent import Agent
from secmon_agent.config import Config
from secmon_agent.invitation import Invitation
from secmon_agent.recorded import recorded_host
from tests.agents import released
from tests.agents.released import Exchange, Machine
from tests.agents.server import CA, TLS
from tests.support.running import Answer, BareAgent, running

VERSION = __version__.rpartition(".")[0]
MACHINES = {"debian-12": "linux", "windows-11-ja": "windows"}
REPORTS = "/v1/reports"
HEADERS = ("content-type", "retry-after")
HOSTS = Path(__file__).parents[1] / "hosts"
KEPT = ("agent.key", "identity.json", "state.json", "spool")


def main() -> None:
    folder = released.FOLDER / VERSION
    folder.mkdir(parents=True)  # what is there stays as it was recorded
    with tempfile.TemporaryDirectory() as made, running(Path(made) / "collector", ingest=_ingest()) as collector:
        for number, (name, family) in enumerate(MACHINES.items(), 1):
            _write(folder / f"{name}.json", _recorded(collector, Path(made) / name, name, family, number))
        _write(folder / "answers.json", _answers(collector))
    sys.stdout.write(f"recorded {VERSION} in {folder}\n")


def _ingest() -> Ingest:
    server = str(TLS / "server.pem")
    return Ingest(address="127.0.0.1:0", certificate=server, key=server, ca=str(TLS / "ca.pem"))


def _write(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _recorded(collector: Collector, folder: Path, name: str, family: str, number: int) -> Machine:
    at = collector.clock().replace(microsecond=0)
    durable.private_directory(folder)
    seed = hashlib.sha256(b"secmon recording %d" % number).digest()
    durable.write(folder / keys.KEY_FILE, seed)
    token = BareAgent(collector).token(valid_for=timedelta(days=1))
    host = recorded_host(HOSTS / name)
    sections = collect.collect(host)
    listening = (facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=23, reach="network"),)
    later = {**sections, "ports": wire.ok_section(facts.Ports(listening=listening), at)}
    del later["removable_media"]
    said: list[Exchange] = []
    with _witnessed(said), _elsewhere(family, number):
        address, port = collector.started.ingest
        invitation = Invitation(host=address, port=port, ca_sha256=hashlib.sha256(CA).digest(), token=token)
        described = wire.decode_facts("host", sections["host"].data or b"")
        assert isinstance(described, facts.Host)
        where = enroll.enroll(folder, Config(), invitation, described, f"A-{number:04d}")
        key = SigningKey(seed)
        Agent(folder, Config(), key, where, lambda: sections).cycle()
        agent = Agent(folder, Config(), key, where, lambda: later)
        agent.cycle(deliver=False)
        kept = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
        agent.drain()
        agent.cycle()
        agent.cycle()
    names = ("enrollment", "full", "changed", "heartbeat", "heartbeat-2")
    return Machine(
        version=__version__,
        at=at,
        seed=seed,
        token=token,
        exchanges=dict(zip(names, said, strict=True)),
        lines=[wire.to_line(each.body).decode() for each in said[1:]],
        facts={name: _told(name, section) for name, section in sorted(later.items()) if section.status == "ok"},
        folder=kept,
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for name in KEPT for path in [folder / name, *(folder / name).glob("*")] if path.is_file())


def _told(name: str, section: wire.Section) -> dict[str, object]:
    return dict(msgspec.to_builtins(wire.decode_facts(name, section.data or b"")))


@contextmanager
def _witnessed(said: list[Exchange]) -> Iterator[None]:
    """Everything that the agent posts meanwhile, and what it is answered."""
    post = transport.Collector.post

    @functools.wraps(post)
    def witnessed(self: transport.Collector, path: str, body: bytes, key_id: bytes) -> transport.Reply:
        reply = post(self, path, body, key_id)
        assert reply.status == 200, reply.body
        headers = {"content-type": wire.ACK_CONTENT_TYPE}
        said.append(Exchange(path=path, key_id=key_id.hex(), body=body, status=200, headers=headers, answer=reply.body))
        return reply

    with patch.object(transport.Collector, "post", witnessed):
        yield


@contextmanager
def _elsewhere(family: str, number: int) -> Iterator[None]:
    """This machine's own marks are not recorded."""
    mark = hashlib.sha256(b"secmon machine %d" % number).digest()
    request = enroll.request
    with (
        patch("secmon_agent.machine.machine_id", lambda: mark),
        patch("secmon_agent.machine.boot", lambda _: (mark[:16], None)),
        patch("secmon_agent.enroll.request", lambda *given: replace(request(*given), family=family)),
    ):
        yield


def _answers(collector: Collector) -> dict[str, Exchange]:
    agent = _Witness(collector, "pc-answers", {})
    agent.enroll()
    _refused_tokens(collector, agent)
    agent.send({"os": facts.Os(family="linux", id="debian")})
    unchanged = replace(wire.ok_section(facts.Host(hostname="pc-answers"), collector.clock()), data=UNSET)
    lacking = replace(agent.report(), sections={"host": unchanged}, state=wire.state_digest({"host": unchanged}))
    agent.keep("want", agent.post(REPORTS, agent.seal(lacking)))
    agent.keep("want-all", agent.post(REPORTS, agent.seal(replace(agent.report(), sections=UNSET, state=bytes(32)))))
    agent.keep("fork", agent.send({"os": facts.Os(family="windows")}, sequence=1))
    agent.keep("malformed", agent.post(REPORTS, b"\xc1"))
    agent.keep("too-large", agent.post(REPORTS, bytes(wire.MAX_WIRE_BYTES + 1)))
    agent.keep("not-found", agent.post("/v9/reports", b""))
    agent.keep("section-not-allowed", agent.send({"devices": facts.Os(family="linux")}))
    stranger = _Witness(collector, "pc-stranger", agent.said)
    forged = replace(wire.read_envelope(stranger.seal(stranger.report())), key_id=bytes.fromhex(agent.key_id))
    agent.keep("bad-signature", agent.post(REPORTS, msgspec.msgpack.encode(forged)))
    stranger.keep("unknown-key", stranger.send())
    double = _Witness(collector, "pc-answers", agent.said)
    double.keep("pending", double.enroll())
    with collector.database.write() as connection:
        waiting = str(pending(connection)[0].enrollment_id)
        refuse(connection, waiting, reason="not ours", actor="test", now=collector.clock())
    double.keep("enrollment-refused", double.enroll())
    with patch("secmon.ingest.listener.MAX_PER_ADDRESS", 0):
        agent.keep("busy", agent.send())
    with collector.database.write() as connection:
        revoke_host(connection, "pc-answers", reason="lost", actor="test", now=collector.clock())
    agent.keep("revoked-key", agent.send())
    return agent.said


def _refused_tokens(collector: Collector, agent: _Witness) -> None:
    late = _Witness(collector, "pc-late", agent.said)
    late.keep("token-unknown", late.enroll("x" * 32))
    late.keep("token-network", late.enroll(agent.token(networks=["192.0.2.0/24"])))
    late.keep("token-expired", late.enroll(agent.token(valid_for=timedelta(0))))
    used = agent.token()
    _Witness(collector, "pc-first", agent.said).enroll(used)
    late.keep("token-used-up", late.enroll(used))


class _Witness(BareAgent):
    """Keeps what it sent and was answered, by a name, among what others said."""

    def __init__(self, collector: Collector, hostname: str, said: dict[str, Exchange]) -> None:
        super().__init__(collector, hostname, SigningKey(hashlib.sha256(f"{hostname} {len(said)}".encode()).digest()))
        self.said = said
        self._sent: tuple[str, bytes] = ("", b"")

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        self._sent = (path, body)
        return super().post(path, body, headers)

    def keep(self, name: str, answer: Answer) -> None:
        path, body = self._sent
        headers = {header: answer.headers[header] for header in HEADERS if header in answer.headers}
        self.said[name] = Exchange(
            path=path,
            key_id=self.key_id,
            body=body if len(body) < wire.MAX_WIRE_BYTES else b"",
            status=answer.status,
            headers=headers,
            answer=answer.body,
        )


if __name__ == "__main__":
    main()
