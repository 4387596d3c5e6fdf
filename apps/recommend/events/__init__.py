"""What a tenant's users did, in the database."""
