"""The command `check`: tries the configuration on the server, and reports problems."""
