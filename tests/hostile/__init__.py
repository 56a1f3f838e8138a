"""A hostile server: a table of cases, played to a real exporter. `make hostile` runs all and prints what was seen.

A case is one row of `cases`: what the server does, and the reason that `errors_total` must count, or none where the
exporter must not mind. `wire` is the server, `plays` are what rows are made of, `subject` is the exporter with what it
must count, `judge` runs a case.
"""
