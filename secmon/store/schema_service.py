"""The tables that do not grow with machines: telling people, and the collector's own running. Taken from `schema`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from secmon.store.types import Instant

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AutoId = BigInteger().with_variant(Integer, "sqlite")

# ── telling people ────────────────────────────────────────────────────────────────────────────────────────────────────

dispatches = Table(  # a transition has been decided upon, exactly once
    "dispatches",
    metadata,
    Column("transition_id", AutoId, ForeignKey("transitions.transition_id"), primary_key=True, autoincrement=False),
    Column("decided_at", Instant, nullable=False),
    Column("outcome", String(16), nullable=False),  # delivery, none, suppressed
    Column("delivery_id", Uuid, ForeignKey("deliveries.delivery_id")),
)

deliveries = Table(  # rendered bytes on their way to somebody
    "deliveries",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("channel", String(16), nullable=False),  # smtp, folder
    Column("recipient", String(255), nullable=False),
    Column("group_key", String(255), nullable=False),
    Column("window_key", String(64), nullable=False),
    Column("message_id", String(255), nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),  # the whole RFC 5322 message
    Column("created_at", Instant, nullable=False),
    Column("status", String(16), nullable=False),  # pending, sent, parked
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("last_error", Text, nullable=False, default=""),
    UniqueConstraint("rule", "recipient", "group_key", "window_key"),
    Index("ix_deliveries_status_next_attempt_at", "status", "next_attempt_at"),
)

# ── running ───────────────────────────────────────────────────────────────────────────────────────────────────────────

rulesets = Table(
    "rulesets",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("loaded_at", Instant, primary_key=True),
    Column("checks", Integer, nullable=False),
    Column("catalogue", Text, nullable=False, server_default=""),  # JSON, secmon.evaluate.catalogue; empty: not kept
)

jobs = Table(  # a job claims its period, once, with its effects
    "jobs",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("period", String(32), primary_key=True),
    Column("finished_at", Instant, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

archived_reports = Table(
    "archived_reports",
    metadata,
    Column("report_id", AutoId, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("period", String(32), nullable=False),
    Column("closed_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("renderer", String(64), nullable=False),
    Column("model", LargeBinary, nullable=False),  # canonical JSON
    Column("previous_hash", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256(previous_hash + model)
    Index("ix_archived_reports_kind_period", "kind", "period"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", AutoId, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(100), nullable=False),  # cli:<os user>, console, collector, an agent's key id
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False, default=""),
    Column("detail", Text, nullable=False, default="{}"),  # JSON object, no secrets
)

sign_ins = Table(  # one-time links to the console and the sessions that came of them
    "sign_ins",
    metadata,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # link, session
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)
