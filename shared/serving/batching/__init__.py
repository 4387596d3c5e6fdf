"""Micro-batching: requests wait a moment for one another, and go through the model together."""
