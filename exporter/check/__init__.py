"""The command that tries a server: what it asks, and what it says of the answers."""
