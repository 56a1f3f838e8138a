"""`python -m fhir_task_exporter` is `fhir-task-exporter`."""

from .cli import main

if __name__ == "__main__":
    main()
