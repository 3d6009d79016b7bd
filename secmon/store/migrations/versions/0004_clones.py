"""What tells a cloned disk image from a machine that was restored, and strings for machines that forget."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("streams", sa.Column("serial", sa.String(length=128), nullable=True))
    op.add_column("streams", sa.Column("hostname", sa.String(length=255), nullable=True))
    op.add_column("streams", sa.Column("last_sequence", sa.BigInteger(), nullable=True))
    op.add_column("streams", sa.Column("boot_id", sa.LargeBinary(length=16), nullable=True))
    op.add_column("streams", sa.Column("returned_at", Instant(), nullable=True))
    op.add_column("streams", sa.Column("stayed_up", sa.Boolean(), nullable=True))
    op.add_column("streams", sa.Column("refused_at", Instant(), nullable=True))
    op.add_column("enrollment_tokens", sa.Column("pool", sa.Boolean(), nullable=False, server_default=sa.false()))
