"""What we say to Prometheus, and how. No I/O: no network, no disk, no clock, no logging."""
