"""What the office attested by hand, and when other scanners ran."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "attestations",
        sa.Column("attestation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=False),
        sa.Column("attested_on", sa.String(length=10), nullable=False),
        sa.Column("due_on", sa.String(length=10), nullable=False),
        sa.Column("post", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=100), nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.Column("withdrawn_by", sa.String(length=100), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("attestation_id", name=op.f("pk_attestations")),
        sa.UniqueConstraint("number", name=op.f("uq_attestations_number")),
    )
    op.create_table(
        "scanner_runs",
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("scanner", sa.String(length=64), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.host_id"], name=op.f("fk_scanner_runs_host_id")),
        sa.PrimaryKeyConstraint("host_id", "scanner", "ended_at", name=op.f("pk_scanner_runs")),
    )
