"""What ``benchmarks.serving`` measures: a module a group of rows, each run as a process."""
