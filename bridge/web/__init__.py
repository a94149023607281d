"""The bridge's own web pages: health, readiness and metrics."""
