"""Widgets that pages share. They talk to the API through ``shared.client`` and to nothing else."""
