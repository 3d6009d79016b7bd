"""The wire: what travels from an agent to the collector, how it is signed, and every limit.

A report becomes msgpack, then (when that helps) zlib, then an `Envelope` whose Ed25519 signature covers the type and
exactly the bytes sent. Opening goes the other way and in this order: size, envelope, signature, bounded decompression,
counting by skipping through, decoding. Nothing is encoded again to check a signature.

The signed bytes are the pre-authentication encoding of DSSE v1 (https://github.com/secure-systems-lab/dsse).
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from secmon_agent import facts, limits
from secmon_agent.skim import TooManyError, skim

MAX_WIRE_BYTES: Final = limits.MAX_WIRE_BYTES
MAX_PAYLOAD_BYTES: Final = 4 << 20
"""A payload after decompression."""
MAX_LIST_ELEMENTS: Final = 20_000
"""Elements of one list or map, anywhere in a report."""
MAX_TOTAL_ELEMENTS: Final = 400_000
"""Values in one payload or section altogether."""
MAX_DEPTH: Final = 16
MAX_IN_FLIGHT_BYTES: Final = 64 << 20
"""Bodies that a collector holds at once."""
MAX_ROTATION_BYTES: Final = 4 << 10
"""A rotation's envelope."""
MAX_BODY_S: Final = 20.0
"""Seconds from the first to the last byte of a body."""
MAX_SECTIONS: Final = 64
MAX_REASON_CHARS: Final = 500
MAX_VITALS: Final = 32
MIN_INTERVAL_S: Final = limits.MIN_INTERVAL_S
MAX_INTERVAL_S: Final = limits.MAX_INTERVAL_S

REPORT_TYPE: Final = "application/vnd.secmon.report.v1"
ENROLLMENT_TYPE: Final = "application/vnd.secmon.enrollment.v1"
ROTATION_TYPE: Final = "application/vnd.secmon.rotation.v1"
ZLIB_SUFFIX: Final = "+zlib"
_TYPES: Final = (REPORT_TYPE, ENROLLMENT_TYPE, ROTATION_TYPE)
CONTENT_TYPE: Final = "application/vnd.secmon.envelope+msgpack"
ACK_CONTENT_TYPE: Final = "application/vnd.secmon.ack+msgpack"
KEY_ID_HEADER: Final = "secmon-key-id"
"""HTTP header that repeats `Envelope.key_id` in hex, so that an unknown key is refused before the body is read."""

FULL_STATE: Final = "*"
"""In `Ack.want`: every section."""

KeyId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Stream = Annotated[bytes, Meta(min_length=16, max_length=16)]
CaMark = Annotated[bytes, Meta(min_length=8, max_length=8)]
"""The first bytes of a CA certificate's SHA-256. It only tells which is meant."""
Sequence = Annotated[int, Meta(ge=1, le=2**62)]
SectionName = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z][a-z0-9_]*$")]


class Envelope(Struct, frozen=True, kw_only=True):
    key_id: KeyId
    """First 16 bytes of SHA-256 of the raw public key."""
    type: Annotated[str, Meta(max_length=100)]
    """Format, version and compression of `payload`; signed with it."""
    payload: bytes
    signature: Signature


class Section(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One section's answer. Without `data` and with status `ok` it says: unchanged, you have it."""

    status: Annotated[str, Meta(max_length=32)]
    """`ok`, `absent`, `denied`, `failed`, `unsupported`; a plain string, since later agents may know more."""
    digest: Digest
    """SHA-256 of exactly `data`; of `reason` in UTF-8 where the status is not `ok`."""
    collected_at: datetime
    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARS)] = ""
    data: bytes | UnsetType = UNSET
    """`encode_facts(…)` of the section's facts."""


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One cycle of an agent. A heartbeat has no `sections`: the machine is as `state` says."""

    stream: Stream
    sequence: Sequence
    """Strictly increasing within the stream, durable on the agent before the report is sealed."""
    boot_id: Annotated[bytes, Meta(max_length=16)]
    collected_at: datetime
    interval_s: Annotated[int, Meta(ge=1, le=MAX_INTERVAL_S)]
    state: Digest
    """`state_digest` over all sections of the machine."""
    offset_s: float | UnsetType = UNSET
    """Collector's clock minus the agent's, seconds, as last measured."""
    machine_id: Annotated[bytes, Meta(max_length=32)] | UnsetType = UNSET
    agent_version: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    sections: dict[SectionName, Section] | UnsetType = UNSET
    """Every section of the machine; data only where the collector may lack it. A name that is missing is gone."""
    vitals: Annotated[dict[Annotated[str, Meta(max_length=64)], float], Meta(max_length=MAX_VITALS)] | UnsetType = UNSET
    """Volatile numbers, outside every digest."""
    rejected: int | UnsetType = UNSET
    """Reports that the collector refused for good and that lie in the agent's `rejected/`."""
    ca: CaMark | UnsetType = UNSET
    """Of the CA certificate that the agent has taken as the successor; said once, so that a heartbeat stays small."""


class Ack(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The collector has made the report durable."""

    stream: Stream
    sequence: Sequence
    interval_s: int
    server_time: datetime
    collector_id: bytes
    generation: int
    """Rises when the collector was restored from a backup; the agent then forgets what was acknowledged."""
    want: tuple[str, ...] = ()
    """Sections whose data the collector lacks; answered at once. `*` asks for full state."""
    rotate: bool = False
    """The agent is asked to change its key."""
    ca: Digest | UnsetType = UNSET
    """SHA-256 of the CA certificate that is to succeed the present one, where the agent has not said that it has it."""


class EnrollmentRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new agent's first message, in an envelope signed by the very key it brings."""

    public_key: Digest
    token: Annotated[str, Meta(max_length=200)]
    hostname: Annotated[str, Meta(min_length=1, max_length=255)]
    agent_version: Annotated[str, Meta(max_length=64)]
    family: Annotated[str, Meta(max_length=32)]
    machine_id: Annotated[bytes, Meta(max_length=32)] | UnsetType = UNSET
    serial: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    asset_number: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    """Of the office's ledger, as the person who enrolls the machine reads it off its label."""


class EnrollmentAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: str
    """`enrolled`, or `pending` while somebody must approve the collision that `reason` names."""
    collector_id: bytes
    generation: int
    interval_s: int
    server_time: datetime
    reason: str = ""


class Rotation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent's next key, in an envelope signed by the present one."""

    public_key: Digest
    stream: Stream
    sequence: Sequence
    """With `stream`: of the last report that was acknowledged."""
    proof: Signature
    """By the next key, over `_PROOF`, the present key's id and `public_key`: whoever offers a key has it."""


class RotationAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The collector knows the new key; the one before ends with the first report that the new one signs."""

    key_id: KeyId
    """Of the new key."""
    server_time: datetime


class KeyAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the collector knows of a key, to whoever names its id; an agent's self-test asks."""

    status: str
    """`known`, `revoked`, `ended` (a newer key of its agent took its place), `retired` (its machine is), `unknown`."""


class WireError(Exception):
    """Bytes that are no acceptable message. `status` is the HTTP status that says so; `detail` names the place."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


T = TypeVar("T")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_envelope_line = msgspec.json.Decoder(Envelope).decode
_decode_report = msgspec.msgpack.Decoder(Report).decode
_decode_enrollment = msgspec.msgpack.Decoder(EnrollmentRequest).decode
_decode_ack = msgspec.msgpack.Decoder(Ack).decode
_decode_answer = msgspec.msgpack.Decoder(EnrollmentAnswer).decode
_decode_rotation = msgspec.msgpack.Decoder(Rotation).decode
_decode_key_answer = msgspec.msgpack.Decoder(KeyAnswer).decode
_decode_rotation_answer = msgspec.msgpack.Decoder(RotationAnswer).decode
_PROOF: Final = b"secmon rotation v1\0"
"""No envelope's signed bytes begin so: a proof is no signature of anything else, and the reverse."""


def key_id(public_key: bytes) -> bytes:
    return hashlib.sha256(public_key).digest()[:16]


def ca_mark(ca: bytes) -> bytes:
    """Of a certificate in DER."""
    return hashlib.sha256(ca).digest()[:8]


def pre_authentication_encoding(type_: str, payload: bytes) -> bytes:
    kind = type_.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode_facts(section: facts.Section) -> bytes:
    """Canonical msgpack of a section: equal facts give equal bytes, whatever order a probe found them in."""
    plain = msgspec.to_builtins(section, builtin_types=(datetime, bytes))
    return _encode(_canonical(plain))


def _canonical(value: object) -> object:
    if isinstance(value, dict):
        nested = {name: _canonical(inner) for name, inner in value.items() if isinstance(inner, _NESTED)}
        return {**value, **nested} if nested else value
    if isinstance(value, (list, tuple)):
        return [msgspec.Raw(item) for item in sorted(_encode(_canonical(inner)) for inner in value)]
    return value


_NESTED: Final = (dict, list, tuple)


def decode_facts(name: str, data: bytes) -> facts.Section:
    """Facts of a section; raises WireError for an unknown name or shape. Unknown fields are passed over."""
    kind = facts.SECTIONS.get(name)
    if kind is None:
        raise WireError(400, f"section {name!r} is not known to this version")
    _skim(data, f"section {name}")
    try:
        return _section_decoder(kind).decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise WireError(400, f"section {name}: {error}") from None


@functools.cache
def _section_decoder(kind: type[facts.Section]) -> msgspec.msgpack.Decoder[facts.Section]:
    """Made when first needed: an agent's cycle decodes no section."""
    return msgspec.msgpack.Decoder(kind)


def ok_section(section: facts.Section, collected_at: datetime) -> Section:
    data = encode_facts(section)
    return Section(status="ok", digest=hashlib.sha256(data).digest(), collected_at=collected_at, data=data)


def other_section(status: str, reason: str, collected_at: datetime) -> Section:
    """A section that has no facts: `absent`, `denied`, `failed`, `unsupported`."""
    reason = reason[:MAX_REASON_CHARS]
    return Section(
        status=status, digest=hashlib.sha256(reason.encode()).digest(), collected_at=collected_at, reason=reason
    )


def state_digest(sections: Mapping[str, Section]) -> bytes:
    """SHA-256 over the sorted (name, status, digest)."""
    rows = [(name, section.status, section.digest) for name, section in sorted(sections.items())]
    return hashlib.sha256(_encode(rows)).digest()


def seal(type_: str, message: Struct, key: SigningKey) -> bytes:
    """Envelope bytes of `message` of one of `_TYPES`; compressed where that is shorter."""
    payload = _encode(message)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(413, f"payload of {len(payload)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
    packed = zlib.compress(payload, 6)
    if len(packed) + len(ZLIB_SUFFIX) < len(payload):
        type_, payload = type_ + ZLIB_SUFFIX, packed
    signature = key.sign(pre_authentication_encoding(type_, payload)).signature
    envelope = Envelope(key_id=key_id(bytes(key.verify_key)), type=type_, payload=payload, signature=signature)
    body = _encode(envelope)
    if len(body) > MAX_WIRE_BYTES:
        raise WireError(413, f"envelope of {len(body)} bytes; the limit is {MAX_WIRE_BYTES}")
    return body


def read_envelope(body: bytes) -> Envelope:
    if len(body) > MAX_WIRE_BYTES:
        raise WireError(413, f"envelope of {len(body)} bytes; the limit is {MAX_WIRE_BYTES}")
    return _decoded(_decode_envelope, body, "envelope")


def to_line(body: bytes) -> bytes:
    """The JSON Lines form of an envelope: one line, bytes in base64, without a newline."""
    return msgspec.json.encode(read_envelope(body))


def from_line(line: bytes) -> bytes:
    """Envelope bytes of a JSON line; the signature is over the payload, so both forms verify alike."""
    if len(line) > 2 * MAX_WIRE_BYTES:
        raise WireError(413, f"line of {len(line)} bytes")
    return _encode(_decoded(_decode_envelope_line, line, "envelope"))


def verify(envelope: Envelope, public_key: bytes) -> None:
    """Raise WireError 401 unless `public_key` signed exactly this type and payload."""
    if key_id(public_key) != envelope.key_id:
        raise WireError(401, "key_id does not belong to this key")
    try:
        VerifyKey(public_key).verify(pre_authentication_encoding(envelope.type, envelope.payload), envelope.signature)
    except BadSignatureError:
        raise WireError(401, "signature does not match") from None


def read_report(envelope: Envelope) -> Report:
    """The report in a verified envelope. Digests are recomputed: no section arrives with bytes it does not name."""
    report = _decoded(_decode_report, _payload(envelope, REPORT_TYPE), "report")
    if report.collected_at.tzinfo is None:
        raise WireError(400, "report: collected_at has no time zone - at `$.collected_at`")
    if report.sections is not UNSET:
        _check_sections(report.sections)
        if state_digest(report.sections) != report.state:
            raise WireError(400, "report: state does not match the sections - at `$.state`")
    return report


def read_enrollment(envelope: Envelope) -> EnrollmentRequest:
    """The request, once its envelope is verified by the public key that it brings."""
    request = _decoded(_decode_enrollment, _payload(envelope, ENROLLMENT_TYPE), "enrollment")
    verify(envelope, request.public_key)
    return request


def rotation(key: SigningKey, following: SigningKey, stream: bytes, sequence: int) -> bytes:
    """The envelope by which `key` is followed by another one."""
    public_key = bytes(following.verify_key)
    proof = following.sign(_PROOF + key_id(bytes(key.verify_key)) + public_key).signature
    message = Rotation(public_key=public_key, stream=stream, sequence=sequence, proof=proof)
    return seal(ROTATION_TYPE, message, key)


def read_rotation(envelope: Envelope) -> Rotation:
    """The rotation in a verified envelope, once the key that it brings has proved itself."""
    message = _decoded(_decode_rotation, _payload(envelope, ROTATION_TYPE), "rotation")
    try:
        VerifyKey(message.public_key).verify(_PROOF + envelope.key_id + message.public_key, message.proof)
    except BadSignatureError:
        raise WireError(401, "rotation: the new key's proof does not match - at `$.proof`") from None
    return message


def open_envelope(body: bytes, public_key: bytes) -> Report:
    envelope = read_envelope(body)
    verify(envelope, public_key)
    return read_report(envelope)


def encode(message: Ack | EnrollmentAnswer | RotationAnswer | KeyAnswer) -> bytes:
    return _encode(message)


def read_ack(body: bytes) -> Ack:
    return _decoded(_decode_ack, body, "ack")


def read_answer(body: bytes) -> EnrollmentAnswer:
    return _decoded(_decode_answer, body, "answer")


def read_key_answer(body: bytes) -> KeyAnswer:
    return _decoded(_decode_key_answer, body, "answer")


def read_rotation_answer(body: bytes) -> RotationAnswer:
    return _decoded(_decode_rotation_answer, body, "answer")


def _check_sections(sections: Mapping[str, Section]) -> None:
    if len(sections) > MAX_SECTIONS:
        raise WireError(400, f"report: {len(sections)} sections; the limit is {MAX_SECTIONS} - at `$.sections`")
    for name, section in sections.items():
        where = f"at `$.sections.{name}"
        if section.collected_at.tzinfo is None:
            raise WireError(400, f"report: collected_at has no time zone - {where}.collected_at`")
        if section.status != "ok":
            expected = hashlib.sha256(section.reason.encode()).digest()
        elif section.data is UNSET:
            continue
        else:
            _skim(section.data, f"section {name}")
            expected = hashlib.sha256(section.data).digest()
        if expected != section.digest:
            raise WireError(400, f"report: digest does not match the content - {where}.digest`")


def _payload(envelope: Envelope, type_: str) -> bytes:
    if envelope.type == type_:
        payload = envelope.payload
    elif envelope.type == type_ + ZLIB_SUFFIX:
        payload = _inflate(envelope.payload)
    else:
        status = 400 if envelope.type.removesuffix(ZLIB_SUFFIX) in _TYPES else 415
        raise WireError(status, f"envelope: type {envelope.type!r} is not {type_!r} - at `$.type`")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(413, f"payload of {len(payload)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
    _skim(payload, "payload")
    return payload


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(packed, MAX_PAYLOAD_BYTES + 1)
    except zlib.error:
        raise WireError(400, "envelope: payload is not zlib - at `$.payload`") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(413, f"payload decompresses to more than {MAX_PAYLOAD_BYTES} bytes")
    if not inflater.eof or inflater.unused_data:
        raise WireError(400, "envelope: zlib stream is cut short or has trailing bytes - at `$.payload`")
    return payload


def _skim(data: bytes, what: str) -> None:
    try:
        skim(data, max_list=MAX_LIST_ELEMENTS, max_total=MAX_TOTAL_ELEMENTS, max_depth=MAX_DEPTH)
    except TooManyError as error:
        raise WireError(413, f"{what}: {error}") from None
    except ValueError as error:
        raise WireError(400, f"{what}: {error}") from None


def _decoded(decode: Callable[[bytes], T], body: bytes, what: str) -> T:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(400, f"{what}: {error}") from None


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details, as `application/problem+json`."""

    type: str
    """`urn:secmon:problem:` and one of the names in `PROBLEMS`."""
    title: str
    status: int
    detail: str = ""


PROBLEM_CONTENT_TYPE: Final = "application/problem+json"
PROBLEM_PREFIX: Final = "urn:secmon:problem:"
PROBLEMS: Final[dict[str, str]] = {
    "malformed": "The message cannot be read",
    "unknown-format": "This collector does not know this format; it may be older than the agent",
    "too-large": "The message is over a limit",
    "slow": "The message took too long to arrive",
    "unknown-key": "This key is not enrolled here",
    "revoked-key": "This key has been revoked",
    "bad-signature": "The signature does not match",
    "fork": "This sequence was already used with another content, or is too old",
    "clone": "Another machine goes on under this key; this one is a copy of it and must enroll anew",
    "token-unknown": "The enrollment token is not known",
    "token-expired": "The enrollment token has expired",
    "token-used-up": "The enrollment token has been used as often as it allows",
    "token-network": "The enrollment token does not hold for this network",
    "enrollment-refused": "The enrollment was refused",
    "rotation-refused": "The key is not changed now",
    "key-taken": "This key is known here as another's",
    "section-not-allowed": "This agent may not send such a section",
    "busy": "The collector is busy or cannot store at the moment",
    "not-found": "There is nothing at this address",
}
"""Names of problems and their titles."""


def problem(name: str, status: int, detail: str = "") -> bytes:
    """JSON body of the problem `name`."""
    return msgspec.json.encode(Problem(type=PROBLEM_PREFIX + name, title=PROBLEMS[name], status=status, detail=detail))
