"""The asset number that a machine gives when it asks to enroll."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("enrollments", sa.Column("asset_number", sa.String(length=64), nullable=True))
