"""The database: one engine, the tables, their migrations."""
