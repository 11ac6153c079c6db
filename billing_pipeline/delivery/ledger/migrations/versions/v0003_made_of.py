"""What each customer's file was made of, so that the same again is not made again. Unknown for the files of before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("month_customers", sa.Column("made_of", sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
