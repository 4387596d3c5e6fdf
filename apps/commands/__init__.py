"""The commands that belong to no single app."""
