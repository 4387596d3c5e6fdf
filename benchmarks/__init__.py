"""Benchmarks: each prints a table of one run and keeps it under ``benchmarks/results``."""
