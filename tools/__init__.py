"""Writes the generated documents: `make generate`. Not part of the wheel; one module for each document."""
