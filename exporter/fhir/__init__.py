"""The FHIR server as it is asked: the client, and the one importer of httpx."""
