"""One cycle: collect, compose, seal, spool, and hand over what waits, oldest first, one in flight."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace
from nacl.signing import SigningKey

from secmon_agent import __version__, clone, identity, keys, machine, report, rotation, state, transport, wire
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, StorageError
from secmon_agent.identity import Identity
from secmon_agent.outcome import Outcome, both
from secmon_agent.report import Circumstances
from secmon_agent.spool import Spool
from secmon_agent.state import State

MAX_ANSWERS = 2
"""Further reports within one cycle: what the collector wants, or a new stream after a fork."""
DAY_S = 86_400.0

Sections = Mapping[str, wire.Section]


class Agent:
    """An enrolled agent over its state folder, which the caller has locked."""

    def __init__(
        self,
        state_dir: Path,
        config: Config,
        key: SigningKey,
        where: Identity,
        collect: Callable[[], Sections],
        interval_s: int | None = None,
    ) -> None:
        """`interval_s` where something else decides how often this runs, whatever the collector says."""
        self._state_dir = state_dir
        self._config = config
        self._collect = collect
        self._timer_s = interval_s
        self._asked = self._introduced = False
        self._offered_ca: bytes | None = None
        self._go_by(key, where)
        self._spool.prepare()
        self._state = state.load(state_dir) or self._remember(state.new_state())

    def _go_by(self, key: SigningKey, where: Identity) -> None:
        self._key = key
        self._key_id = wire.key_id(bytes(key.verify_key))
        self._where = where
        self._spool = Spool(
            self._state_dir,
            bytes(key.verify_key),
            max_bytes=self._config.spool_max_bytes,
            max_age_s=self._config.spool_max_days * DAY_S,
        )

    @property
    def interval_s(self) -> int:
        return self._timer_s or self._state.interval_s or self._config.interval_s

    def cycle(self, *, deliver: bool = True) -> Outcome:
        """Report the machine as it is, and hand over. Raises AgentError when the report could not even be stored."""
        sections = report.within_limits(self._state, self._collect())
        total = last = self._report(sections, deliver=deliver)
        for _ in range(MAX_ANSWERS):
            if last.trouble or not (last.forked or (last.wanted and report.changed(self._state, sections))):
                break
            if last.forked:
                sections = report.within_limits(self._state, self._collect())
            last = self._report(sections, deliver=True)
            total = both(total, last)
        return self._renewed(self._with_next_ca(total))

    def _report(self, sections: Sections, *, deliver: bool) -> Outcome:
        """A full disk does not keep what already waits from leaving."""
        try:
            self._enqueue(sections)
        except StorageError:
            if deliver:
                self._hand_all_over()
            raise
        stored = Outcome(dropped=self._spool.trim(self.interval_s), waiting=len(self._spool.names()))
        return both(stored, self._hand_all_over()) if deliver else stored

    def _enqueue(self, sections: Sections) -> None:
        if not self._spool.names() and self._state.unsettled:
            self._state = replace(self._state, unsettled=())
        boot_id, booted_at = machine.boot(self._state.booted_at)
        following = replace(report.next_state(self._state, sections), booted_at=booted_at)
        self._remember(following)
        body, heartbeat = self._sealed(sections, boot_id)
        self._spool.put(body, heartbeat=heartbeat)

    def _sealed(self, sections: Sections, boot_id: bytes) -> tuple[bytes, bool]:
        around = Circumstances(
            now=datetime.now(UTC).replace(microsecond=0),
            boot_id=boot_id,
            machine_id=machine.machine_id(),
            vitals=machine.vitals(self._state_dir),
            own_cost=machine.own_cost(),
            rejected=self._spool.rejected(),
            interval_s=self.interval_s,
            agent_version=__version__,
            next_ca=wire.ca_mark(self._where.next_ca) if self._where.next_ca else b"",
        )
        while True:
            message = report.compose(self._state, sections, around)
            try:
                return wire.seal(wire.REPORT_TYPE, message, self._key), not message.sections
            except wire.WireError:
                sections = report.without_largest(sections, self._state.unsettled)

    def drain(self) -> Outcome:
        """Hand over what waits until it is empty or something is in the way."""
        return self._renewed(self._with_next_ca(self._hand_all_over()))

    def _hand_all_over(self) -> Outcome:
        collector = self._collector()
        total = Outcome()
        try:
            for name, body, message in self._spool.reports():
                total = both(total, self._hand_over(collector, name, body, message))
                if total.trouble:
                    break
        except transport.TransportError as error:
            total = replace(total, trouble=str(error))
        finally:
            collector.close()
        return replace(total, waiting=len(self._spool.names()))

    def _collector(self) -> transport.Collector:
        return transport.Collector(
            self._where.host,
            self._where.port,
            identity.trusted(self._config, self._where),
            proxy=self._config.proxy,
            timeout_s=self._config.timeout_s,
        )

    def _with_next_ca(self, outcome: Outcome) -> Outcome:
        """Take the CA that is to succeed the present one, where the collector offers it and we choose whom we trust."""
        offered, self._offered_ca = self._offered_ca, None
        if offered is None or outcome.trouble or self._config.ca_file is not None or self._has(offered):
            return outcome
        from secmon_agent import successor

        ca = identity.trusted(self._config, self._where)
        try:
            connection = transport.secured(
                self._where.host, self._where.port, ca, proxy=self._config.proxy, timeout_s=self._config.timeout_s
            )
            with contextlib.closing(connection):
                self._where = successor.take(self._state_dir, connection, self._where, offered)
        except AgentError as error:
            return replace(outcome, unchanged=str(error))
        except (OSError, ValueError) as error:
            return replace(outcome, unchanged=f"collector {self._where.address}: {transport.explain(error)}")
        return outcome

    def _has(self, sha256: bytes) -> bool:
        return hashlib.sha256(self._where.next_ca).digest() == sha256

    def _renewed(self, outcome: Outcome) -> Outcome:
        """Change the key where that is due and all that the present one signed has arrived."""
        if outcome.trouble or outcome.waiting or not outcome.delivered:
            return outcome
        if not rotation.is_due(self._where, self._state, asked=self._asked):
            return outcome
        collector = self._collector()
        try:
            where, key = rotation.rotate(self._state_dir, collector, self._key, self._where, self._state)
        except rotation.RefusedError as error:
            now = self._state.last_ack_at
            self._remember(replace(self._state, rotate_after=None if now is None else now + rotation.PAUSE))
            return replace(outcome, unchanged=str(error))
        except AgentError as error:
            return replace(outcome, unchanged=str(error))
        finally:
            collector.close()
        self._asked = False
        self._go_by(key, where)
        return replace(outcome, renewed=1)

    def _hand_over(self, collector: transport.Collector, name: str, body: bytes, message: wire.Report) -> Outcome:
        reply = collector.post("/v1/reports", body, self._key_id)
        if reply.status == 401 and not self._introduced and reply.is_problem("unknown-key"):
            self._introduced = True
            if rotation.introduce(self._state_dir, collector, self._key):
                reply = collector.post("/v1/reports", body, self._key_id)
        if reply.status == 200:
            return self._acknowledged(name, message, reply)
        if reply.status == 409 and reply.is_problem("fork"):
            forked = message.stream == self._state.stream
            if forked:
                self._remember(state.new_stream(self._state))
            self._spool.reject(name)
            return Outcome(rejected=1, forked=forked)
        if reply.status == 409 and reply.is_problem("clone"):
            clone.set_aside(self._state_dir, self._key_id, self._where.address)
            return Outcome(trouble=clone.LINE)
        if reply.status in (400, 413) or reply.is_problem("section-not-allowed"):
            self._spool.reject(name)
            return Outcome(rejected=1)
        return Outcome(trouble=self._trouble(reply), retry_after_s=reply.retry_after_s)

    def _trouble(self, reply: transport.Reply) -> str:
        advice = "; enroll this machine again, as secmon-agent doctor says" if reply.status == 401 else ""
        return f"collector {self._where.address}: {reply.says()}{advice}"

    def _acknowledged(self, name: str, message: wire.Report, reply: transport.Reply) -> Outcome:
        """The file goes first: a kill in between costs a repetition of data, never a loss."""
        try:
            ack = wire.read_ack(reply.body)
        except wire.WireError as error:
            raise transport.TransportError(f"collector {self._where.address}: its answer is no ack: {error}") from None
        if (ack.stream, ack.sequence) != (message.stream, message.sequence):
            raise transport.TransportError(f"collector {self._where.address} acknowledges another report than was sent")
        self._spool.done(name)
        settled = replace(
            report.settle(self._state, message, ack), offset_s=transport.clock_offset_s(ack.server_time, reply.at_s)
        )
        self._asked = ack.rotate
        self._offered_ca = None if ack.ca is UNSET else ack.ca
        wanted = bool(ack.want) or ack.generation != self._state.generation
        self._remember(settled)
        return Outcome(delivered=1, wanted=wanted)

    def _remember(self, new: State) -> State:
        state.save(self._state_dir, new)
        self._state = new
        return new


def open_agent(
    state_dir: Path, config: Config, key: SigningKey | None, where: Identity | None, interval_s: int | None = None
) -> Agent:
    """The agent of this machine with its real probes; raises NotEnrolledError when it is none."""
    from secmon_agent.collect import collect, live_host

    if key is None or where is None or where.status != "enrolled":
        raise clone.not_enrolled(state_dir)
    if where.key_id not in (b"", wire.key_id(bytes(key.verify_key))):
        raise AgentError(f"{state_dir / keys.KEY_FILE} is not the key that was enrolled; restore it, or enroll again")
    host = live_host(state_dir)
    return Agent(state_dir, config, key, where, lambda: collect(host), interval_s)
