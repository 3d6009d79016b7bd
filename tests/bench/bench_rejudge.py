"""Ten thousand machines judged anew after a change of the rules, by a collector of its own on one core.

Once while it runs, which finds the change by itself and takes reports meanwhile, and once at its start, where it does
not know which rules were in force before. Processor time is the figure: user and system, of the collector alone.
"""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import subprocess  # noqa: TID251 — the collector that is measured is a process of its own
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct
from nacl.signing import SigningKey

from secmon.app import Started, open_database
from secmon.evaluate.ruleset import load_rules
from secmon.rejudging import waiting
from secmon.resources import rules_dir
from secmon.store.database import Database
from secmon_agent import wire
from tests.bench.figures import Figure, Note
from tests.bench.fleet import Speaker, fill
from tests.bench.rejudge_server import config

MACHINES = int(os.environ.get("SECMON_BENCH_MACHINES", "10000"))
SPEAKING = 200
PAUSE_S = 0.05
"""Between two heartbeats: somewhat more than 10,000 machines send that report four times an hour."""
QUIET_S = 5.0
CHECKOUT = Path(__file__).parents[2]
CHANGES = (
    ("support/os-ending-soon.yaml", "default: 180", "default: {}"),
    ("patch/security-updates-overdue.yaml", "default: 14, lgwan: 30", "default: {}, lgwan: 3"),
)
"""Two checks, one that fails on many machines then and one that every machine's updates decide."""


class _Heard(Struct):
    """Seconds to the Ack of each heartbeat."""

    took: list[float]
    refused: int = 0

    def ms(self, part: float) -> float:
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * part))] * 1000


def figures() -> Iterator[Figure | Note]:
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        yield Note(text="the collector is measured on Linux with two processors or more")
        return
    whole = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, whole - {0})
        with tempfile.TemporaryDirectory(dir=CHECKOUT.parent, prefix="rejudge-") as folder:
            yield from _measured(Path(folder))
    finally:
        os.sched_setaffinity(0, whole)


def _measured(folder: Path) -> Iterator[Figure | Note]:
    rules = folder / "rules"
    shutil.copytree(rules_dir(), rules)
    settings = config(folder / "data", rules)
    database = open_database(settings)
    before = time.process_time()
    speakers = fill(database, settings, load_rules(rules), MACHINES, SPEAKING)
    yield Figure(
        measure="first judgement, storing them included", subject=f"{MACHINES:,} machines",
        value=time.process_time() - before, unit="s",
    )  # fmt: skip
    subject = f"{MACHINES:,} machines"
    server, started = _start(folder)
    try:
        driver = _Driver(started, speakers)
        quiet = driver.until(lambda began: time.perf_counter() - began > QUIET_S)
        cpu = _cpu_s(server)
        _change(rules, 400)
        meanwhile = driver.until(_all_judged(database, rules))
        yield Figure(
            measure="judging anew, changed while running", subject=subject, value=_cpu_s(server) - cpu, unit="s",
            at_most=30.0,
        )  # fmt: skip
        for heard, when in ((quiet, "in a quiet hour"), (meanwhile, "while judging anew")):
            for part in (0.5, 0.99, 1.0):
                yield Figure(
                    measure=f"time to the ack, {when}", subject=f"p{part * 100:g}", value=heard.ms(part), unit="ms"
                )
        yield Note(text=f"{len(meanwhile.took)} heartbeats while judging anew, {meanwhile.refused} of them refused")
    finally:
        _stop(server)
    _change(rules, 500)
    server, started = _start(folder)
    try:
        yield Figure(
            measure="judging anew, changed before the start", subject=subject, value=_cpu_s(server), unit="s",
            at_most=30.0,
        )  # fmt: skip
        left = _waiting(database, rules)
        yield Note(text=f"{left} machines were left when it listened; loading and migrations are in that figure")
    finally:
        _stop(server)
    database.close()


def _change(rules: Path, days: int) -> None:
    for name, old, new in CHANGES:
        file = rules / "checks" / name
        shipped = (rules_dir() / "checks" / name).read_text(encoding="utf-8")
        assert old in shipped, f"{name} has no {old!r} any more: change the bench"
        file.write_text(shipped.replace(old, new.format(days)), encoding="utf-8")


def _all_judged(database: Database, rules: Path) -> Callable[[float], bool]:
    checks, looked = load_rules(rules), [0.0]

    def look(_began: float) -> bool:
        if time.perf_counter() - looked[0] < 0.5:
            return False
        looked[0] = time.perf_counter()
        with database.read() as connection:
            return waiting(connection, checks) == 0

    return look


def _waiting(database: Database, rules: Path) -> int:
    with database.read() as connection:
        return waiting(connection, load_rules(rules))


class _Driver:
    """Sends one heartbeat after another, each of the next machine."""

    def __init__(self, started: Started, speakers: Sequence[Speaker]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection("127.0.0.1", started.ingest[1], context=context, timeout=120)
        self._turns = cycle(speakers)
        self._numbers = count(2)

    def until(self, is_over: Callable[[float], bool]) -> _Heard:
        began, heard = time.perf_counter(), _Heard([])
        while not is_over(began):
            speaker, number = next(self._turns), next(self._numbers)
            headers, body = _heartbeat(speaker, number)
            sent = time.perf_counter()
            self._connection.request("POST", "/v1/reports", body, headers)
            answer = self._connection.getresponse()
            answer.read()
            heard.took.append(time.perf_counter() - sent)
            heard.refused += answer.status != 200
            time.sleep(PAUSE_S)
        return heard


def _heartbeat(speaker: Speaker, number: int) -> tuple[dict[str, str], bytes]:
    key = SigningKey(speaker.seed)
    report = wire.Report(
        stream=speaker.stream, sequence=number, boot_id=speaker.stream, collected_at=datetime.now(UTC),
        interval_s=900, state=speaker.state, offset_s=0.0, sections=msgspec.UNSET,
    )  # fmt: skip
    headers = {wire.KEY_ID_HEADER: wire.key_id(bytes(key.verify_key)).hex(), "content-type": wire.CONTENT_TYPE}
    return headers, wire.seal(wire.REPORT_TYPE, report, key)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], Started]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(CHECKOUT / "agents"), str(CHECKOUT)))}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.rejudge_server", str(folder / "data"), str(folder / "rules")],
        cwd=CHECKOUT, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert server.stdout is not None
    return server, msgspec.json.decode(server.stdout.readline(), type=Started)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait()


def _cpu_s(server: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(server.pid).cpu_times()
    return float(times.user + times.system)
