"""Runs migrations on the connection that the caller gives, in the caller's transaction."""

from alembic import context

from bridge.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
