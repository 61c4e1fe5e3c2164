"""Alembic's runner: one transaction over the connection `include.database.upgrade` hands in."""

from alembic import context

from include.database import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE, transactional_ddl=True)
context.run_migrations()
