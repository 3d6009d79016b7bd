"""What the office's ledger says of machines, attributes that hold from a day to come, and other scanners' results."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("assets", sa.Column("serial", sa.String(length=128), nullable=True))
    op.add_column("assets", sa.Column("attributes", sa.Text(), server_default="{}", nullable=False))
    op.add_column("assets", sa.Column("listed_at", Instant(), nullable=True))
    op.create_table(
        "planned_attributes",
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("effective_on", sa.String(length=10), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.host_id"], name=op.f("fk_planned_attributes_host_id")),
        sa.PrimaryKeyConstraint("host_id", "name", "effective_on", "recorded_at", name=op.f("pk_planned_attributes")),
    )
    op.create_index(
        "uq_planned_attributes_open",
        "planned_attributes",
        ["host_id", "name", "effective_on"],
        unique=True,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_table(
        "scanner_results",
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("scanner", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=255), nullable=False),
        sa.Column("observed_from", Instant(), nullable=False),
        sa.Column("observed_to", Instant(), nullable=True),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("said", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.host_id"], name=op.f("fk_scanner_results_host_id")),
        sa.PrimaryKeyConstraint("host_id", "scanner", "rule", "observed_from", name=op.f("pk_scanner_results")),
    )
    op.create_index(
        "uq_scanner_results_current",
        "scanner_results",
        ["host_id", "scanner", "rule"],
        unique=True,
        sqlite_where=sa.text("observed_to IS NULL"),
        postgresql_where=sa.text("observed_to IS NULL"),
    )
