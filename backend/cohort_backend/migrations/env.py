"""Entry point of Alembic; `cohort_backend.migrations.upgrade` gives it an open connection."""

from alembic import context

from cohort_backend.migrations import CONNECTION
from cohort_backend.models import Base

connection = context.config.attributes[CONNECTION]
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
