"""A Prometheus exporter of payer-to-payer exchange Tasks on a FHIR server."""
