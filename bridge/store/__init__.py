"""What the bridge remembers, and the only importer of SQLAlchemy: SQLite embedded, PostgreSQL for many workers."""
