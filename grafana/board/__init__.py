"""The dashboard as Python: one module per row; the others build queries, limits and panels."""
