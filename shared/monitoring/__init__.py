"""Watching what runs: alert delivery."""
