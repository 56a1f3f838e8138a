"""Measurements: `make bench` prints the figures of docs/performance.md. Times live here, never in tests."""
