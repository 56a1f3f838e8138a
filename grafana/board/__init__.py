"""The dashboard as Python: each row is a module, and the others say how queries, limits and panels are made."""
