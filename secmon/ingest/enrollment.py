"""Letting new machines in: tokens, collisions, approval, revocation."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.errors import Failure
from secmon.ingest import pools
from secmon.ingest.admission import Refused, refusal
from secmon.store import audit, turns
from secmon.store.database import Database
from secmon.store.hosts import POOL, create_host, find_host
from secmon.store.ledger import adopt
from secmon.store.schema import agent_keys, agents, assets, enrollment_tokens, enrollments, host_assets, hosts
from secmon.store.speakers import new_agent, revoke
from secmon_agent import wire
from secmon_agent.probes.placeholders import meaningful

T = TypeVar("T")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_token(
    connection: Connection,
    *,
    now: datetime,
    actor: str,
    uses: int | None,
    valid_for: timedelta,
    zone: str | None = None,
    role: str | None = None,
    networks: Sequence[str] = (),
) -> str:
    """A token that admits `uses` new hosts; only its hash is kept. `networks` are CIDR, empty: from anywhere.

    Without a number of uses it is for machines that forget themselves at every start, and holds until it expires.
    """
    token = secrets.token_urlsafe(24)
    connection.execute(
        sa.insert(enrollment_tokens).values(
            token_hash=_hash(token), created_at=now, created_by=actor, expires_at=now + valid_for,
            uses_left=uses or 1, zone=zone, role=role, networks=msgspec.json.encode(list(networks)).decode(),
            pool=uses is None,
        )
    )  # fmt: skip
    detail = {
        "uses": uses or "pool", "expires_at": (now + valid_for).isoformat(), "zone": zone,
        "networks": list(networks),
    }  # fmt: skip
    audit.write(connection, at=now, actor=actor, action="enrollment.token", detail=detail)
    return token


class Enrollment:
    """Answers enrollment requests. Idempotent by key: the same request again gets the same answer and costs no use."""

    def __init__(self, database: Database, config: Config, identity: tuple[uuid.UUID, int]) -> None:
        self._database = database
        self._config = config
        self._identity = identity

    def request(self, body: bytes, address: str, now: datetime) -> wire.EnrollmentAnswer:
        """Raises Refused."""
        try:
            envelope = wire.read_envelope(body)
            request = wire.read_enrollment(envelope)
        except wire.WireError as error:
            raise refusal(error) from None
        _check_texts(request)
        try:
            with self._database.write() as connection:
                status, reason = _decide(connection, request, address, now)
        except (sa.exc.OperationalError, sa.exc.InterfaceError):
            raise Refused("busy", 503) from None
        return wire.EnrollmentAnswer(
            status=status,
            reason=reason,
            collector_id=self._identity[0].bytes,
            generation=self._identity[1],
            interval_s=self._config.ingest.interval_s,
            server_time=now,
        )


def _check_texts(request: wire.EnrollmentRequest) -> None:
    """Names go into mails, logs and terminals as they are, so only what can be shown is taken."""
    for field in ("hostname", "agent_version", "family", "serial", "asset_number"):
        text = getattr(request, field)
        if text is not UNSET and not (text.isprintable() and text == text.strip()):
            raise Refused("malformed", 400, f"enrollment: control characters or outer spaces - at `$.{field}`")


def _decide(connection: Connection, request: wire.EnrollmentRequest, address: str, now: datetime) -> tuple[str, str]:
    turns.take(connection, "enrollment")  # two that ask at once must see each other
    key_id = wire.key_id(request.public_key)
    known = connection.execute(
        sa.select(agents.c.revoked_at, agent_keys.c.revoked_at.label("key_revoked_at"))
        .join(agent_keys, agent_keys.c.agent_id == agents.c.agent_id)
        .where(agent_keys.c.key_id == key_id)
    ).first()
    if known is not None:
        if known.revoked_at is not None or known.key_revoked_at is not None:
            raise Refused("revoked-key", 403)
        return "enrolled", ""
    asked = connection.execute(sa.select(enrollments).where(enrollments.c.key_id == key_id)).first()
    if asked is not None:
        if asked.status == "refused":
            raise Refused("enrollment-refused", 403, asked.reason)
        return "pending", asked.reason
    token = _use_token(connection, request.token, address, now)
    seat = None
    if token.pool:
        seat, collision, reason = pools.place(
            connection, _evidence(request, trusting_image=False), _serial(request), now
        )
    else:
        collision, reason = _collision(connection, request)
    values: dict[str, Any] = {
        "enrollment_id": uuid.uuid4(), "key_id": key_id, "public_key": request.public_key,
        "token_hash": token.token_hash, "hostname": request.hostname, "machine_id": _value(request.machine_id),
        "serial": _serial(request), "asset_number": _value(request.asset_number),
        "agent_version": request.agent_version, "family": request.family,
        "address": address, "requested_at": now, "reason": reason, "collides_with": collision,
    }  # fmt: skip
    if collision is not None:
        if token.pool:
            pools.withdraw(connection, values)
        connection.execute(sa.insert(enrollments).values(status="pending", **values))
        _audit(connection, now, key_id, "enrollment.pending", request.hostname, reason)
        return "pending", reason
    if seat is not None:
        host_id = seat
        _goes_on(connection, host_id, values)
        pools.take_seat(connection, host_id, _attributes(token), now)
    else:
        host_id = create_host(
            connection, hostname=request.hostname, now=now, machine_id=values["machine_id"], serial=values["serial"],
            attributes=_attributes(token),
        )  # fmt: skip
    adopt(connection, host_id, values["asset_number"], values["serial"], now)
    new_agent(connection, host_id, key_id, request.public_key, token.sections, now)
    connection.execute(sa.insert(enrollments).values(status="enrolled", host_id=host_id, decided_at=now, **values))
    _audit(connection, now, key_id, "enrollment.enrolled", request.hostname, "" if seat is None else "pool")
    return "enrolled", ""


def _attributes(token: Row[Any] | None) -> dict[str, str]:
    """What a host is said to be that enrolled by this token; None: it expired long ago and was removed."""
    if token is None:
        return {}
    said = {name: value for name in ("zone", "role") if (value := getattr(token, name)) is not None}
    return {**said, POOL: token.token_hash.hex()[:8]} if token.pool else said


def _goes_on(connection: Connection, host_id: uuid.UUID, now_said: Mapping[str, Any]) -> None:
    """The host is the machine that says this of itself, as far as it says it."""
    connection.execute(
        sa.update(hosts)
        .where(hosts.c.host_id == host_id)
        .values(
            machine_id=now_said["machine_id"] or hosts.c.machine_id,
            serial=now_said["serial"] or hosts.c.serial,
            hostname=now_said["hostname"],
        )
    )


def _use_token(connection: Connection, text: str, address: str, now: datetime) -> Row[Any]:
    """Count one use in one conditional update. Raises Refused with what is wrong."""
    token = connection.execute(
        sa.select(enrollment_tokens).where(enrollment_tokens.c.token_hash == _hash(text))
    ).first()
    if token is None:
        raise Refused("token-unknown", 403)
    if token.expires_at <= now:
        raise Refused("token-expired", 403, f"it ended at {token.expires_at:%Y-%m-%d %H:%M} UTC")
    networks = msgspec.json.decode(token.networks, type=list[str])
    if networks and not _is_within(address, networks):
        raise Refused("token-network", 403, f"{address} is in none of {', '.join(networks)}")
    used = connection.execute(
        sa.update(enrollment_tokens)
        .where(enrollment_tokens.c.token_hash == token.token_hash, enrollment_tokens.c.uses_left > 0)
        .values(uses_left=enrollment_tokens.c.uses_left - (0 if token.pool else 1))
    )
    if used.rowcount != 1:
        raise Refused("token-used-up", 403)
    return token


def _is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(source, ipaddress.IPv6Address) and source.ipv4_mapped is not None:
        source = source.ipv4_mapped
    return any(source in ipaddress.ip_network(network) for network in networks)


def _collision(connection: Connection, request: wire.EnrollmentRequest) -> tuple[uuid.UUID | None, str]:
    """The host that this one seems to be already, and by what: the one for which the best evidence speaks.

    A serial number is the hardware's own, an asset number is read off its label, a name may have been given again, and
    images copy machine ids.
    """
    found: dict[tuple[uuid.UUID, str], list[str]] = {}
    for what, same in _evidence(request):
        known = sa.select(hosts.c.host_id, hosts.c.name).where(same, hosts.c.retired_at.is_(None))
        for host in connection.execute(known.order_by(hosts.c.created_at)):
            found.setdefault((host.host_id, host.name), []).append(what)
    if not found:
        return None, ""
    said = "; ".join(f"same {' and '.join(what)} as {name}" for (_, name), what in list(found.items())[:3])
    return next(iter(found))[0], said


def _evidence(
    request: wire.EnrollmentRequest, *, trusting_image: bool = True
) -> Iterator[tuple[str, sa.ColumnElement[bool]]]:
    """What may show that a host is this machine, the best first. What makers leave in firmware shows nothing, and
    machines of a pool have the machine id of their image."""
    serial = _serial(request)
    if serial is not None:
        yield "serial number", sa.func.lower(hosts.c.serial) == serial.lower()
    if request.asset_number is not UNSET:
        linked = sa.select(host_assets.c.host_id).join(assets, assets.c.asset_id == host_assets.c.asset_id)
        present = (assets.c.asset_number == request.asset_number, host_assets.c.valid_to.is_(None))
        yield "asset number", hosts.c.host_id.in_(linked.where(*present))
    yield "host name", sa.func.lower(hosts.c.hostname) == request.hostname.lower()
    if trusting_image and request.machine_id is not UNSET:
        yield "machine id", sa.and_(hosts.c.machine_id == request.machine_id, *_maybe_same_hardware(serial))


def _maybe_same_hardware(serial: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    """A machine id that stands on other hardware came there with a disk image."""
    return (
        () if serial is None else (sa.or_(hosts.c.serial.is_(None), sa.func.lower(hosts.c.serial) == serial.lower()),)
    )


def _serial(request: wire.EnrollmentRequest) -> str | None:
    return None if request.serial is UNSET else _value(meaningful(request.serial))


def _value(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


def _audit(connection: Connection, now: datetime, key_id: bytes, action: str, subject: str, reason: str) -> None:
    audit.write(connection, at=now, actor=f"agent:{key_id.hex()}", action=action, subject=subject,
                detail={"reason": reason} if reason else None)  # fmt: skip


# ── decisions of people ───────────────────────────────────────────────────────────────────────────────────────────────


def pending(connection: Connection) -> list[Row[Any]]:
    """Requests that wait, oldest first, with the name of the host they collide with."""
    return list(
        connection.execute(
            sa.select(enrollments, hosts.c.name.label("host_name"))
            .outerjoin(hosts, hosts.c.host_id == enrollments.c.collides_with)
            .where(enrollments.c.status == "pending")
            .order_by(enrollments.c.requested_at)
        )
    )


def approve(connection: Connection, enrollment_id: str, *, as_new: bool, actor: str, now: datetime) -> str:
    """Let a waiting machine in: as the host it collides with (history goes on), or as a new one. Returns its name."""
    row = _waiting(connection, enrollment_id)
    token = connection.execute(  # None: it expired long ago and was removed
        sa.select(enrollment_tokens).where(enrollment_tokens.c.token_hash == row.token_hash)
    ).first()
    if as_new:
        host_id = create_host(
            connection, hostname=row.hostname, now=now, machine_id=row.machine_id, serial=row.serial,
            attributes=_attributes(token),
        )  # fmt: skip
    else:
        host_id = row.collides_with
        if connection.execute(sa.select(hosts.c.retired_at).where(hosts.c.host_id == host_id)).scalar() is not None:
            raise Failure(f"the record that {row.hostname} would continue is retired; approve it with --as-new")
        _goes_on(connection, host_id, row._asdict())
    adopt(connection, host_id, row.asset_number, row.serial, now)
    new_agent(connection, host_id, row.key_id, row.public_key, None if token is None else token.sections, now)
    _settle(connection, row, "enrolled", actor, now, host_id=host_id)
    return str(connection.execute(sa.select(hosts.c.name).where(hosts.c.host_id == host_id)).scalar_one())


def refuse(connection: Connection, enrollment_id: str, *, reason: str, actor: str, now: datetime) -> None:
    _settle(connection, _waiting(connection, enrollment_id), "refused", actor, now, reason=reason)


def _waiting(connection: Connection, enrollment_id: str) -> Row[Any]:
    found = [row for row in pending(connection) if str(row.enrollment_id).startswith(enrollment_id)]
    if len(found) != 1:
        raise Failure(f"{len(found)} waiting enrollments begin with {enrollment_id!r}; see `secmon enrollment list`")
    return found[0]


def _settle(connection: Connection, row: Row[Any], status: str, actor: str, now: datetime, **values: object) -> None:
    connection.execute(
        sa.update(enrollments)
        .where(enrollments.c.enrollment_id == row.enrollment_id)
        .values(status=status, decided_at=now, decided_by=actor, **values)
    )
    audit.write(connection, at=now, actor=actor, action=f"enrollment.{status}", subject=row.hostname)


def revoke_host(connection: Connection, name: str, *, reason: str, actor: str, now: datetime) -> int:
    """End every agent that speaks for the host; its reports are refused from now on. Returns how many."""
    host_id = find_host(connection, name)
    if host_id is None:
        raise Failure(f"there is no host {name!r}")
    count = revoke(connection, host_id, reason, now)
    audit.write(connection, at=now, actor=actor, action="agent.revoke", subject=name, detail={"reason": reason})
    return count
