"""A simulated payer network: what `demo` shows a visitor, and the tests' honest fake."""
