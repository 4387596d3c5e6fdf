"""Serving: the application, keys, limits, batching, health and metrics."""
