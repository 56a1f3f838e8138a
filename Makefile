# One word per chore, the same on a laptop and in CI.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install setup demo test check fix generate golden e2e bench clean

install: .venv/.installed          ## the command alone, at .venv/bin/fhir-task-exporter
setup: .venv/.setup                ## and what tests and linters need

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[holidays]'
	@touch $@

.venv/.setup: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install                      ## a simulated payer network and the exporter on it, at 127.0.0.1:9842 or as ARGS say
	$(BIN)/fhir-task-exporter demo $(ARGS)

test: setup                        ## every test that needs no real server
	$(BIN)/pytest -m 'not e2e' --numprocesses auto --dist worksteal

e2e: setup                         ## the tests against HAPI FHIR, Prometheus and other real things
	$(BIN)/pytest -m e2e --numprocesses 4 --dist loadscope

check: setup                       ## format, lint, types, security
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --severity-level medium exporter tools

fix: setup                         ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: setup                    ## write every generated document: tables of docs/, dashboard, Kubernetes rules
	$(BIN)/python -m tools

golden: setup                      ## rewrite the golden texts; then read the difference
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/unit/metrics tests/scenarios/test_golden.py

bench: setup                       ## the figures of docs/performance.md
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
