"""What is kept: SQLAlchemy Core on SQLite (embedded) and PostgreSQL (server); the same statements on both."""
