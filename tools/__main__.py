"""Write every generated document: `python -m tools`, or `make generate`."""

from .documents import DOCUMENTS, ROOT, generate

for path in DOCUMENTS:
    current = (ROOT / path).read_text("utf-8")
    (ROOT / path).write_text(generate(path, current), "utf-8")
