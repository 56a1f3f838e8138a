"""All that is logged, for tests that look for what must not be there."""

import io
import logging

from exporter.logs import FORMS, LineFormatter


class Logs:
    """Everything that is logged, at DEBUG, in the exporter's formats and as Python itself would write it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handlers = [logging.StreamHandler(self.stream) for _ in range(3)]
        self.handlers[0].setFormatter(LineFormatter(FORMS["logfmt"]))
        self.handlers[1].setFormatter(LineFormatter(FORMS["json"]))
        self.handlers[2].setFormatter(logging.Formatter("%(message)s %(fields)s", defaults={"fields": ""}))

    @property
    def text(self) -> str:
        return self.stream.getvalue()
