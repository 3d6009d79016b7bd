"""The console: pages and JSON for people, metrics for Prometheus. Nothing here changes a machine or a verdict."""
