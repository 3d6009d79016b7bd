"""Golden vectors of the wire: one JSON file each, `valid-….json` and `invalid-….json`, under `vectors/`.

After a deliberate change of the format write them anew, from the top of the checkout, and read the difference:

    PYTHONPATH=agents python -m tests.agents.make_vectors

An implementation in any language can be checked against them: `envelope` and `public_key` are hex.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from nacl.signing import SigningKey

from secmon_agent import facts, wire

FOLDER = Path(__file__).parent / "vectors"
KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
PUBLIC_KEY = bytes(KEY.verify_key)
WHEN = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)


class Vector(Struct, frozen=True, kw_only=True, omit_defaults=True):
    about: str
    kind: str
    """`report`, `enrollment` or `rotation`."""
    public_key: str
    envelope: str
    message: dict[str, object] | None = None
    """Of a valid one: what it says; bytes in base64, absent fields left out."""
    status: int = 0
    """Of an invalid one: the HTTP status that answers it."""
    detail: str = ""
    """Of an invalid one: where the fault is."""


def encoded(message: object) -> bytes:
    return msgspec.msgpack.Encoder(order="deterministic").encode(message)


def sealed(payload: bytes, type_: str = wire.REPORT_TYPE, key: SigningKey = KEY) -> bytes:
    """An envelope around any bytes at all, rightly signed."""
    signature = key.sign(wire.pre_authentication_encoding(type_, payload)).signature
    id_ = wire.key_id(bytes(key.verify_key))
    return encoded(wire.Envelope(key_id=id_, type=type_, payload=payload, signature=signature))


def packed(payload: bytes) -> bytes:
    return sealed(zlib.compress(payload), wire.REPORT_TYPE + wire.ZLIB_SUFFIX)


def sections() -> dict[str, wire.Section]:
    listening = (
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=22, reach="network", process="sshd"),
        facts.ListeningPort(protocol="tcp", address="127.0.0.1", port=631, reach="loopback"),
    )
    return {
        "os": wire.ok_section(facts.Os(family="linux", id="debian", version="12"), WHEN),
        "ports": wire.ok_section(facts.Ports(listening=listening), WHEN),
        "screen_lock": wire.other_section("absent", "no graphical session", WHEN),
        "accounts": wire.other_section("denied", "the shadow file needs root", WHEN),
    }


def heartbeat() -> wire.Report:
    return wire.Report(
        stream=b"s" * 16,
        sequence=7,
        boot_id=b"b" * 16,
        collected_at=WHEN,
        interval_s=3600,
        state=wire.state_digest(sections()),
        offset_s=-1.25,
        vitals={"uptime_s": 86400, "disk_free_bytes": 123456789},
    )


def full() -> wire.Report:
    return replace(
        heartbeat(), sequence=1, sections=sections(), machine_id=b"m" * 32, agent_version="0.1.0", rejected=2
    )


def enrollment() -> wire.EnrollmentRequest:
    return wire.EnrollmentRequest(
        public_key=PUBLIC_KEY,
        token="token-of-the-tests-0123",
        hostname="pc-0042",
        agent_version="0.1.0",
        family="linux",
        machine_id=b"m" * 32,
        serial="SN-1",
    )


def enrollment_with_asset_number() -> wire.EnrollmentRequest:
    return replace(enrollment(), asset_number="A-0042")


def rotation() -> wire.Rotation:
    """From `KEY` to `OTHER_KEY`, after the heartbeat."""
    return wire.read_rotation(wire.read_envelope(wire.rotation(KEY, OTHER_KEY, heartbeat().stream, 7)))


def plain(message: Struct) -> dict[str, object]:
    """Of msgspec's own making, so that it can be changed at will."""
    return dict(msgspec.to_builtins(message, builtin_types=(datetime, bytes)))


def changed(**fields: object) -> bytes:
    return packed(encoded({**plain(heartbeat()), **fields}))


def changed_section(name: str, **fields: object) -> bytes:
    """A full report with one section's fields as given."""
    message = plain(full())
    rows = {key: {**plain(section), **(fields if key == name else {})} for key, section in sections().items()}
    return packed(encoded({**message, "sections": rows}))


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


def with_signature(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    envelope = wire.read_envelope(body)
    return encoded(replace(envelope, signature=change(envelope.signature)))


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def wide(count: int) -> bytes:
    """An array of `count` nils."""
    return b"\xdd" + count.to_bytes(4, "big") + b"\xc0" * count


def with_data(data: bytes) -> bytes:
    """A full report whose section `ports` has this content, under the right digest."""
    rows = {**sections(), "ports": replace(sections()["ports"], data=data, digest=hashlib.sha256(data).digest())}
    return packed(encoded(replace(full(), sections=rows, state=wire.state_digest(rows))))


HEARTBEAT = sealed(encoded(heartbeat()))
ZLIB = wire.REPORT_TYPE + wire.ZLIB_SUFFIX
GIANT = 1 << 24


def later_status() -> bytes:
    rows = {**sections(), "boot": wire.other_section("asleep", "", WHEN)}
    return packed(encoded(replace(full(), sections=rows, state=wire.state_digest(rows))))


def later_section() -> bytes:
    data = encoded({"anything": [1, {"at": WHEN}]})
    novelty = wire.Section(status="ok", digest=hashlib.sha256(data).digest(), collected_at=WHEN, data=data)
    rows = {**sections(), "devices": novelty}
    return packed(encoded(replace(full(), sections=rows, state=wire.state_digest(rows))))


SEALED: dict[str, tuple[str, str, Struct]] = {
    "heartbeat": ("Nothing has changed", wire.REPORT_TYPE, heartbeat()),
    "full": ("Every section with its data, compressed", wire.REPORT_TYPE, full()),
    "enrollment": ("A first message", wire.ENROLLMENT_TYPE, enrollment()),
    "enrollment-asset-number": (
        "A first message that names the machine's row in the ledger",
        wire.ENROLLMENT_TYPE,
        enrollment_with_asset_number(),
    ),
    "rotation": ("A key that is to follow this one, with its proof", wire.ROTATION_TYPE, rotation()),
}
"""Name: what it shows, its type, what `wire.seal` is given."""

LATER: dict[str, tuple[str, bytes]] = {
    "later-fields": ("Fields of a later version are passed over", changed(novelty={"a": [1, 2.5, None, True]})),
    "later-status": ("A status of a later version is taken as it is", later_status()),
    "later-section": ("A section of a later version is taken as it is", later_section()),
}
"""Name: what it shows, the envelope that a later version might send."""

INVALID: dict[str, tuple[str, bytes]] = {
    "flipped-signature": ("One bit of the signature is another", with_signature(HEARTBEAT, flipped)),
    "flipped-payload": (
        "One bit of the payload is another",
        encoded(replace(wire.read_envelope(HEARTBEAT), payload=flipped(wire.read_envelope(HEARTBEAT).payload))),
    ),
    "other-type-signed": (
        "The type is signed too",
        encoded(replace(wire.read_envelope(HEARTBEAT), type=wire.ENROLLMENT_TYPE)),
    ),
    "wrong-key": ("Signed by a key that is not enrolled", sealed(encoded(heartbeat()), key=OTHER_KEY)),
    "wrong-key-right-id": (
        "Signed by another key under this key's id",
        encoded(
            replace(wire.read_envelope(sealed(encoded(heartbeat()), key=OTHER_KEY)), key_id=wire.key_id(PUBLIC_KEY))
        ),
    ),
    "short-signature": ("A signature of 63 bytes", with_signature(HEARTBEAT, lambda it: it[:63])),
    "no-payload": ("An envelope without payload", encoded({"key_id": b"k" * 16, "type": "x", "signature": b"s" * 64})),
    "not-msgpack": ("An envelope that is no msgpack", b"\xc1\xc1\xc1"),
    "empty": ("No bytes at all", b""),
    "trailing-envelope-bytes": ("Bytes behind the envelope", HEARTBEAT + b"\x00"),
    "unknown-type": ("A type nobody knows", sealed(encoded(heartbeat()), "application/vnd.secmon.report.v9")),
    "enrollment-as-report": (
        "An enrollment where a report belongs",
        sealed(encoded(enrollment()), wire.ENROLLMENT_TYPE),
    ),
    "rotation-as-report": (
        "A rotation where a report belongs",
        sealed(encoded(rotation()), wire.ROTATION_TYPE),
    ),
    "not-zlib": ("Says zlib and is none", sealed(b"plain text", ZLIB)),
    "zlib-cut-short": ("The zlib stream does not end", sealed(zlib.compress(encoded(heartbeat()))[:-6], ZLIB)),
    "zlib-trailing-bytes": (
        "Bytes behind the zlib stream",
        sealed(zlib.compress(encoded(heartbeat())) + b"\x00", ZLIB),
    ),
    "zlib-bomb": ("5 KB that become 16 MiB", packed(b"\xc6" + GIANT.to_bytes(4, "big") + bytes(GIANT))),
    "trailing-msgpack-bytes": ("Bytes behind the report", sealed(encoded(heartbeat()) + b"\xc0")),
    "cut-msgpack": ("The report does not end", sealed(encoded(heartbeat())[:-1])),
    "too-deep": ("Nested deeper than the limit", packed(nested(wire.MAX_DEPTH + 1))),
    "too-many-elements": ("A list longer than the limit", packed(wide(wire.MAX_LIST_ELEMENTS + 1))),
    "absurd-count": ("A list that promises four thousand million elements", packed(b"\xdd\xff\xff\xff\xff")),
    "too-many-values": ("Too many values altogether", packed(b"\xdc\x00\x15" + wide(wire.MAX_LIST_ELEMENTS) * 21)),
    "too-deep-in-section": ("A section nested deeper than the limit", with_data(nested(wire.MAX_DEPTH + 1))),
    "too-many-in-section": ("A section with a list longer than the limit", with_data(wide(wire.MAX_LIST_ELEMENTS + 1))),
    "trailing-section-bytes": ("Bytes behind a section's facts", with_data(b"\x80\xc0")),
    "wrong-type": ("A sequence that is a text", changed(sequence="7")),
    "sequence-zero": ("A sequence below 1", changed(sequence=0)),
    "short-stream": ("A stream of 15 bytes", changed(stream=b"s" * 15)),
    "missing-field": (
        "A report without a state",
        packed(encoded({k: v for k, v in plain(heartbeat()).items() if k != "state"})),
    ),
    "naive-datetime": ("A time without its zone", changed(collected_at="2026-11-20T03:04:05")),
    "naive-datetime-in-section": (
        "A section's time without its zone",
        changed_section("os", collected_at="2026-11-20T03:04:05"),
    ),
    "digest-mismatch": (
        "A section whose content is not what its digest names",
        changed_section("os", digest=b"d" * 32),
    ),
    "reason-mismatch": ("A reason that is not what its digest names", changed_section("accounts", reason="another")),
    "state-mismatch": (
        "A state that does not belong to the sections",
        packed(encoded(replace(full(), state=b"d" * 32))),
    ),
    "section-name": (
        "A section's name that is a path",
        packed(encoded({**plain(full()), "sections": {"../os": plain(sections()["os"])}})),
    ),
    "too-many-sections": (
        "More sections than the limit",
        packed(encoded(replace(full(), sections={f"s{n}": sections()["os"] for n in range(wire.MAX_SECTIONS + 1)}))),
    ),
    "not-a-map": ("A report that is a list", packed(encoded([1, 2, 3]))),
}
"""Name: the fault, the envelope."""


def vectors() -> dict[str, Vector]:
    """By file name."""
    made: dict[str, Vector] = {}
    valid = {name: (about, wire.seal(type_, message, KEY)) for name, (about, type_, message) in SEALED.items()}
    for name, (about, body) in {**valid, **LATER}.items():
        kind = next((kind for kind in ("enrollment", "rotation") if name.startswith(kind)), "report")
        made[f"valid-{name}.json"] = Vector(
            about=about, kind=kind, public_key=PUBLIC_KEY.hex(), envelope=body.hex(), message=told(opened(kind, body))
        )
    for name, (about, body) in INVALID.items():
        error = fault("report", body)
        made[f"invalid-{name}.json"] = Vector(
            about=about,
            kind="report",
            public_key=PUBLIC_KEY.hex(),
            envelope=body.hex(),
            status=error.status,
            detail=error.detail,
        )
    return made


def opened(kind: str, body: bytes) -> wire.Report | wire.EnrollmentRequest | wire.Rotation:
    if kind == "report":
        return wire.open_envelope(body, PUBLIC_KEY)
    envelope = wire.read_envelope(body)
    if kind == "enrollment":
        return wire.read_enrollment(envelope)
    wire.verify(envelope, PUBLIC_KEY)
    return wire.read_rotation(envelope)


def told(message: Struct) -> dict[str, object]:
    """As it stands in a vector: JSON's own types."""
    return dict(msgspec.to_builtins(message))


def fault(kind: str, body: bytes) -> wire.WireError:
    try:
        opened(kind, body)
    except wire.WireError as error:
        return error
    raise AssertionError("an invalid vector was accepted")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    made = vectors()
    for name, vector in made.items():
        (FOLDER / name).write_bytes(msgspec.json.format(msgspec.json.encode(vector), indent=1) + b"\n")
    sys.stdout.write(f"{len(made)} vectors in {FOLDER}\n")


if __name__ == "__main__":
    main()
