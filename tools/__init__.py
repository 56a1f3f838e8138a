"""Writes the generated documents: `make generate`. No part of the installed program; one module for each document."""
