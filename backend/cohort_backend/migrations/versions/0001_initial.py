"""The first schema: tables by domain, in the order that foreign keys need."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

EXACT = sa.String(78).with_variant(postgresql.NUMERIC(78, 0), "postgresql")


def upgrade() -> None:
    _chain()
    _projects()
    _of_projects()
    _rounds()
    _of_rounds()
    _trainers()
    _rewards()
    _updates()
    _settlements()
    _jobs()


def _chain() -> None:
    op.create_table(
        "chain_blocks",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_blocks")),
    )
    op.create_table(
        "chain_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("market", sa.String(length=42), nullable=False),
        sa.Column("start_block", sa.BigInteger(), nullable=False),
        sa.Column("slash_window", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("block_timestamp", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_chain_cursor_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_cursor")),
    )
    op.create_table(
        "chain_events",
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("project", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("block_number", "log_index", name=op.f("pk_chain_events")),
    )
    op.create_index(
        op.f("ix_chain_events_project_block_number"), "chain_events", ["project", "block_number"], unique=False
    )
    op.create_index(op.f("ix_chain_events_transaction_hash"), "chain_events", ["transaction_hash"], unique=False)
    op.create_table(
        "chain_receipts",
        sa.Column("transaction_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("gas_used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_hash", name=op.f("pk_chain_receipts")),
    )
    op.create_index(op.f("ix_chain_receipts_block_number"), "chain_receipts", ["block_number"], unique=False)
    op.create_table(
        "chain_transactions",
        sa.Column("chain_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("intent", sa.String(length=200), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("chain_id", "sender", "intent", "attempt", name=op.f("pk_chain_transactions")),
    )
    op.create_index(
        "uq_chain_transactions_nonce",
        "chain_transactions",
        ["chain_id", "sender", "nonce"],
        unique=True,
        sqlite_where=sa.text("state <> 'displaced'"),
        postgresql_where=sa.text("state <> 'displaced'"),
    )


def _projects() -> None:
    op.create_table(
        "project_versions",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_project_versions")),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=42), nullable=False),
        sa.Column("created_block", sa.BigInteger(), nullable=False),
        sa.Column("created_tx", sa.LargeBinary(length=32), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("verifier", sa.String(length=42), nullable=False),
        sa.Column("policy", sa.String(length=42), nullable=False),
        sa.Column("verifier_code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("policy_code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("spec_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("policy_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("initial_model", sa.LargeBinary(length=32), nullable=False),
        sa.Column("validation_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("access_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("round_budget", EXACT, nullable=False),
        sa.Column("aggregator_fee", EXACT, nullable=False),
        sa.Column("stake", EXACT, nullable=False),
        sa.Column("bond", EXACT, nullable=False),
        sa.Column("score_floor", EXACT, nullable=False),
        sa.Column("rounds", sa.BigInteger(), nullable=False),
        sa.Column("dimension", sa.BigInteger(), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("min_reliability", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("min_trainers", sa.Integer(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("share_cap", sa.Integer(), nullable=False),
        sa.Column("commit_seconds", sa.BigInteger(), nullable=False),
        sa.Column("guard_seconds", sa.BigInteger(), nullable=False),
        sa.Column("reveal_seconds", sa.BigInteger(), nullable=False),
        sa.Column("rescue_seconds", sa.BigInteger(), nullable=False),
        sa.Column("settle_seconds", sa.BigInteger(), nullable=False),
        sa.Column("takeover_seconds", sa.BigInteger(), nullable=False),
        sa.Column("self_commit_seconds", sa.BigInteger(), nullable=False),
        sa.Column("witnesses", sa.JSON(), nullable=False),
        sa.Column("aggregators", sa.JSON(), nullable=False),
        sa.Column("protocol_fee", EXACT, nullable=False),
        sa.Column("standing_weight", sa.Integer(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("member_numbers", sa.BigInteger(), nullable=False),
        sa.Column("last_join_block", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pending_model", sa.LargeBinary(length=32), nullable=True),
        sa.Column("pending_until", sa.BigInteger(), nullable=False),
        sa.Column("acceptor", sa.String(length=42), nullable=True),
        sa.Column("deposited", EXACT, nullable=False),
        sa.Column("free", EXACT, nullable=False),
        sa.Column("held", EXACT, nullable=False),
        sa.Column("claimable", EXACT, nullable=False),
        sa.Column("claimed", EXACT, nullable=False),
        sa.Column("fees", EXACT, nullable=False),
        sa.Column("burned", EXACT, nullable=False),
        sa.Column("refunded", EXACT, nullable=False),
        sa.Column("stakes", EXACT, nullable=False),
        sa.Column("bonds", EXACT, nullable=False),
        sa.Column("stakes_burned", EXACT, nullable=False),
        sa.Column("bonds_burned", EXACT, nullable=False),
        sa.Column("protocol_fees", EXACT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index(op.f("ix_projects_owner"), "projects", ["owner"], unique=False)


def _of_projects() -> None:
    op.create_table(
        "spec_documents",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spec_documents")),
    )
    op.create_table(
        "bonds",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("aggregator", sa.String(length=42), nullable=False),
        sa.Column("free", EXACT, nullable=False),
        sa.Column("locked", EXACT, nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name=op.f("fk_bonds_project_projects")),
        sa.PrimaryKeyConstraint("project", "aggregator", name=op.f("pk_bonds")),
    )
    op.create_table(
        "project_models",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("cid", sa.String(length=64), nullable=True),
        sa.Column("receipted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name=op.f("fk_project_models_project_projects")),
        sa.PrimaryKeyConstraint("project", "round", name=op.f("pk_project_models")),
    )


def _rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("commit_end", sa.BigInteger(), nullable=False),
        sa.Column("reveal_start", sa.BigInteger(), nullable=False),
        sa.Column("reveal_end", sa.BigInteger(), nullable=False),
        sa.Column("rescue_end", sa.BigInteger(), nullable=False),
        sa.Column("acceptor_end", sa.BigInteger(), nullable=False),
        sa.Column("settle_end", sa.BigInteger(), nullable=False),
        sa.Column("slash_end", sa.BigInteger(), nullable=False),
        sa.Column("budget", EXACT, nullable=False),
        sa.Column("acceptor", sa.String(length=42), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("model", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch_posted", sa.Boolean(), nullable=False),
        sa.Column("batch_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("batch_bits", sa.BigInteger(), nullable=False),
        sa.Column("resolved_bits", sa.BigInteger(), nullable=False),
        sa.Column("batch_count", sa.Integer(), nullable=False),
        sa.Column("self_count", sa.Integer(), nullable=False),
        sa.Column("unresolved", sa.Integer(), nullable=False),
        sa.Column("admitted", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("validation", sa.LargeBinary(length=32), nullable=True),
        sa.Column("public_rows", sa.LargeBinary(length=32), nullable=True),
        sa.Column("outcome", sa.Integer(), nullable=True),
        sa.Column("next_model", sa.LargeBinary(length=32), nullable=True),
        sa.Column("next_model_cid", sa.String(length=64), nullable=True),
        sa.Column("bundle_cid", sa.String(length=64), nullable=True),
        sa.Column("payout_root", sa.LargeBinary(length=27), nullable=True),
        sa.Column("settler", sa.String(length=42), nullable=True),
        sa.Column("paid", EXACT, nullable=False),
        sa.Column("fee", EXACT, nullable=False),
        sa.Column("protocol_fee", EXACT, nullable=False),
        sa.Column("bond_to_settler", EXACT, nullable=True),
        sa.Column("burned", EXACT, nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name=op.f("fk_rounds_project_projects")),
        sa.PrimaryKeyConstraint("project", "number", name=op.f("pk_rounds")),
    )


def _of_rounds() -> None:
    op.create_table(
        "commits",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("member", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=True),
        sa.Column("leaf", sa.Integer(), nullable=True),
        sa.Column("batch_commitment", sa.LargeBinary(length=32), nullable=True),
        sa.Column("leaf_counts", sa.Boolean(), nullable=False),
        sa.Column("leaf_skip", sa.Integer(), nullable=False),
        sa.Column("self_commitment", sa.LargeBinary(length=32), nullable=True),
        sa.Column("resolution", sa.Integer(), nullable=False),
        sa.Column("skip_reason", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "round"], ["rounds.project", "rounds.number"], name=op.f("fk_commits_project_round_rounds")
        ),
        sa.PrimaryKeyConstraint("project", "round", "member", name=op.f("pk_commits")),
    )
    op.create_table(
        "round_transactions",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "round"],
            ["rounds.project", "rounds.number"],
            name=op.f("fk_round_transactions_project_round_rounds"),
        ),
        sa.PrimaryKeyConstraint("project", "round", "transaction_hash", name=op.f("pk_round_transactions")),
    )
    op.create_table(
        "rows",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_row", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("update_commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("cid", sa.String(length=64), nullable=False),
        sa.Column("score", EXACT, nullable=True),
        sa.Column("reason", sa.Integer(), nullable=True),
        sa.Column("pay", EXACT, nullable=True),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "round"], ["rounds.project", "rounds.number"], name=op.f("fk_rows_project_round_rounds")
        ),
        sa.PrimaryKeyConstraint("project", "round", "row", name=op.f("pk_rows")),
    )
    op.create_index(op.f("ix_rows_trainer_project"), "rows", ["trainer", "project"], unique=False)


def _trainers() -> None:
    op.create_table(
        "trainers",
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("losses", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_trainers")),
    )
    op.create_table(
        "trainer_losses",
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("owner", sa.String(length=42), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trainer"], ["trainers.address"], name=op.f("fk_trainer_losses_trainer_trainers")),
        sa.PrimaryKeyConstraint("trainer", "owner", name=op.f("pk_trainer_losses")),
    )
    op.create_table(
        "members",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("staked", sa.Boolean(), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("joined_round", sa.BigInteger(), nullable=False),
        sa.Column("unlock_at", sa.BigInteger(), nullable=False),
        sa.Column("delegate", sa.String(length=42), nullable=True),
        sa.Column("credit", sa.Integer(), nullable=False),
        sa.Column("usefulness", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("rejections", sa.Integer(), nullable=False),
        sa.Column("earned", EXACT, nullable=False),
        sa.Column("claimed", EXACT, nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name=op.f("fk_members_project_projects")),
        sa.PrimaryKeyConstraint("project", "number", name=op.f("pk_members")),
        sa.UniqueConstraint("project", "trainer", name=op.f("uq_members_project_trainer")),
    )
    op.create_index(op.f("ix_members_trainer"), "members", ["trainer"], unique=False)


def _rewards() -> None:
    op.create_table(
        "claims",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("recipient", sa.String(length=42), nullable=False),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "round", "row"],
            ["rows.project", "rows.round", "rows.row"],
            name=op.f("fk_claims_project_round_row_rows"),
        ),
        sa.PrimaryKeyConstraint("project", "round", "row", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_trainer_project"), "claims", ["trainer", "project"], unique=False)


def _updates() -> None:
    op.create_table(
        "commit_intents",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("signer", sa.String(length=42), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "trainer", name=op.f("pk_commit_intents")),
        sa.UniqueConstraint("project", "round", "commitment", name=op.f("uq_commit_intents_project_round_commitment")),
    )
    op.create_table(
        "reveal_intents",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("update_commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("cid", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "trainer", name=op.f("pk_reveal_intents")),
    )
    op.create_table(
        "reveal_sets",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("openings_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.Column("trainers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "openings_hash", name=op.f("pk_reveal_sets")),
    )
    op.create_table(
        "round_intake",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_closed_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("project", "round", name=op.f("pk_round_intake")),
    )
    op.create_table(
        "update_refusals",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trainer", sa.String(length=42), nullable=False),
        sa.Column("witness", sa.String(length=42), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "trainer", "witness", name=op.f("pk_update_refusals")),
    )
    op.create_table(
        "receipts",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("openings_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("witness", sa.String(length=42), nullable=False),
        sa.Column("endorsed", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "round", "openings_hash"],
            ["reveal_sets.project", "reveal_sets.round", "reveal_sets.openings_hash"],
            name=op.f("fk_receipts_project_round_openings_hash_reveal_sets"),
        ),
        sa.PrimaryKeyConstraint("project", "round", "openings_hash", "witness", name=op.f("pk_receipts")),
    )


def _settlements() -> None:
    op.create_table(
        "settlement_proposals",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("admitted_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("validation", sa.LargeBinary(length=32), nullable=False),
        sa.Column("public_rows", sa.LargeBinary(length=32), nullable=False),
        sa.Column("policy_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("outcomes", sa.JSON(), nullable=False),
        sa.Column("previous_model", sa.LargeBinary(length=32), nullable=False),
        sa.Column("next_model", sa.LargeBinary(length=32), nullable=False),
        sa.Column("next_model_cid", sa.String(length=64), nullable=False),
        sa.Column("bundle_cid", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", name=op.f("pk_settlement_proposals")),
    )
    op.create_table(
        "settlement_refusals",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle_cid", sa.String(length=64), nullable=False),
        sa.Column("witness", sa.String(length=42), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "bundle_cid", "witness", name=op.f("pk_settlement_refusals")),
    )
    op.create_table(
        "settlement_signatures",
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle_cid", sa.String(length=64), nullable=False),
        sa.Column("witness", sa.String(length=42), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "round", "bundle_cid", "witness", name=op.f("pk_settlement_signatures")),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rerun", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", sa.Float(precision=53), nullable=False),
        sa.Column("sent_at", sa.Float(precision=53), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_state_run_after"), "jobs", ["state", "run_after"], unique=False)
    op.create_index(
        "uq_jobs_unfinished",
        "jobs",
        ["kind", "key"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
