"""Public rows on their way to the chain, and witnesses' words on them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "public_rows_proposals",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("admitted_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("validation", sa.LargeBinary(length=32), nullable=False),
        sa.Column("rows", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", name=op.f("pk_public_rows_proposals")),
    )
    op.create_table(
        "public_rows_words",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.LargeBinary(length=32), nullable=False),
        sa.Column("witness", sa.String(length=42), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "rows", "witness", name=op.f("pk_public_rows_words")),
    )
