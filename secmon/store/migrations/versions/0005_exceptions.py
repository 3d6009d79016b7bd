"""Exceptions and disputes, and what findings say of them."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "exceptions",
        sa.Column("exception_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("check_id", sa.String(length=128), nullable=False),
        sa.Column("item", sa.String(length=255), nullable=True),
        sa.Column("host_id", sa.Uuid(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("department", sa.String(length=255), nullable=True),
        sa.Column("role", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("approver", sa.String(length=100), nullable=False),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=100), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.String(length=100), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.host_id"], name=op.f("fk_exceptions_host_id")),
        sa.PrimaryKeyConstraint("exception_id", name=op.f("pk_exceptions")),
        sa.UniqueConstraint("number", name=op.f("uq_exceptions_number")),
    )
    op.add_column("findings", sa.Column("exception_id", sa.Uuid(), nullable=True))
    op.add_column("findings", sa.Column("baseline_at", Instant(), nullable=True))
    op.create_index(
        op.f("ix_findings_exception_id"),
        "findings",
        ["exception_id"],
        sqlite_where=sa.text("exception_id IS NOT NULL"),
        postgresql_where=sa.text("exception_id IS NOT NULL"),
    )
