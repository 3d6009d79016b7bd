"""A collector that listens, and a bare agent that speaks to it over TLS."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct
from nacl.signing import SigningKey

from secmon.app import Collector, now_utc
from secmon.config import Config, Console, DatabaseSection, Ingest
from secmon.ingest.enrollment import new_token
from secmon_agent import wire
from tests.support.office import ZONES


@contextmanager
def running(
    folder: Path, database_url: str = "", clock: Callable[[], datetime] = now_utc, **changes: object
) -> Iterator[Collector]:
    """A whole collector on free ports."""
    config = Config(
        data_dir=str(folder),
        ingest=Ingest(address="127.0.0.1:0"),
        console=Console(address="127.0.0.1:0"),
        database=DatabaseSection(url=database_url),
        zones=ZONES,
    )
    collector = Collector(msgspec.structs.replace(config, **changes), clock)
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


class Answer(Struct, frozen=True):
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def problem(self) -> wire.Problem:
        assert self.headers["content-type"] == wire.PROBLEM_CONTENT_TYPE
        return msgspec.json.decode(self.body, type=wire.Problem)

    @property
    def ack(self) -> wire.Ack:
        assert self.status == 200, self.body
        return wire.read_ack(self.body)


class BareAgent:
    """A key that enrolls and sends what the test wants; `secmon_agent` itself is tested elsewhere."""

    def __init__(self, collector: Collector, hostname: str = "pc1", key: SigningKey | None = None) -> None:
        self.collector = collector
        self.hostname = hostname
        self.key = key or SigningKey.generate()
        self.stream = bytes(self.key.verify_key)[:16]
        self.sequence = 0

    @property
    def key_id(self) -> str:
        return wire.key_id(bytes(self.key.verify_key)).hex()

    def connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cadata=self.collector.certificates.ca_der)
        host, port = self.collector.started.ingest
        return http.client.HTTPSConnection(host, port, context=context, timeout=30)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        connection = self.connection()
        try:
            connection.request("POST", path, body, {wire.KEY_ID_HEADER: self.key_id} if headers is None else headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def token(self, **options: object) -> str:
        given = {"uses": 1, "valid_for": timedelta(hours=1), "zone": "lgwan", **options}
        with self.collector.database.write() as connection:
            return new_token(connection, now=self.collector.clock(), actor="test", **given)  # type: ignore[arg-type]

    def enroll(self, token: str | None = None, /, **fields: object) -> Answer:
        request = wire.EnrollmentRequest(
            public_key=bytes(self.key.verify_key),
            token=token or self.token(),
            hostname=self.hostname,
            agent_version="0.1.0",
            family="linux",
            **fields,  # type: ignore[arg-type]
        )
        return self.post("/v1/enrollments", wire.seal(wire.ENROLLMENT_TYPE, request, self.key))

    def report(self, sections: Mapping[str, Struct] | None = None, **fields: object) -> wire.Report:
        """The next report; `fields` replace what it would say."""
        now = datetime.now(UTC)
        self.sequence += 1
        built = {name: wire.ok_section(each, now) for name, each in (sections or {}).items()}  # type: ignore[arg-type]
        said: dict[str, object] = {
            "stream": self.stream, "sequence": self.sequence, "boot_id": bytes(16), "collected_at": now,
            "interval_s": 900, "state": wire.state_digest(built), "sections": built,
        }  # fmt: skip
        return wire.Report(**{**said, **fields})  # type: ignore[arg-type]

    def seal(self, report: wire.Report) -> bytes:
        return wire.seal(wire.REPORT_TYPE, report, self.key)

    def send(self, sections: Mapping[str, Struct] | None = None, **fields: object) -> Answer:
        return self.post("/v1/reports", self.seal(self.report(sections, **fields)))
