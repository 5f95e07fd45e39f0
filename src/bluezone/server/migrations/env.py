"""Run by Alembic: the migration goes through the connection that `upgrade` holds."""

from alembic import context

from bluezone.server.migrations import options

context.configure(connection=context.config.attributes["connection"], **options())
with context.begin_transaction():
    context.run_migrations()
