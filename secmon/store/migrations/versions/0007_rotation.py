"""Which key of an agent succeeds which, that a change was asked for, and which successor CA it has."""

import sqlalchemy as sa
from alembic import op

from secmon.store.types import Instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("agents", sa.Column("rotate_requested_at", Instant(), nullable=True))
    op.add_column("agents", sa.Column("ca_mark", sa.LargeBinary(length=8), nullable=True))
    op.add_column("agent_keys", sa.Column("succeeds", sa.LargeBinary(length=16), nullable=True))
    op.add_column("agent_keys", sa.Column("heard_at", Instant(), nullable=True))
