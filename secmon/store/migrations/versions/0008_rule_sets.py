"""What a rule set was, so that the next one can be held against it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("rulesets", sa.Column("catalogue", sa.Text(), server_default="", nullable=False))
