"""The client of the FHIR server, and the one importer of httpx. Decoding is pure: `task/bundle` and its neighbors."""
