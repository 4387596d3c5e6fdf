"""A tenant's catalogue in the database."""
