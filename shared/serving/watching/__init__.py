"""What operators see: metrics, logs, traces, health."""
