"""A simulated payer network: behind the `demo` command, and the fake FHIR server of the tests."""
