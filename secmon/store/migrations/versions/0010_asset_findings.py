"""Findings about rows of the ledger whose machine never reported; when a row is to report, when it was taken off."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("assets", sa.Column("expected_from", Instant(), nullable=True))
    op.add_column("assets", sa.Column("removed_at", Instant(), nullable=True))
    op.create_table(
        "asset_findings",
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("check_id", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("exception_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("acknowledged_at", Instant(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=100), nullable=True),
        sa.Column("baseline_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.asset_id"], name=op.f("fk_asset_findings_asset_id")),
        sa.PrimaryKeyConstraint("asset_id", "finding_id", name=op.f("pk_asset_findings")),
    )
    op.create_index(
        "uq_asset_findings_unresolved",
        "asset_findings",
        ["asset_id", "check_id"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
