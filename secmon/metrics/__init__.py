"""The present as Prometheus sees it: families out of one read snapshot, text that is cached outside the ingest path."""
