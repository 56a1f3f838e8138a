"""Where effects happen: one outside thing a file."""
