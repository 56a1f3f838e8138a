# One word per chore, the same on a laptop and in CI.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install setup demo test check fix generate golden e2e crash hostile fuzz bench lock clean

install: .venv/.installed          ## the command alone, at .venv/bin/fhir-task-exporter
setup: .venv/.setup                ## and what tests and linters need

# Wheels whose hashes are in the lock files, and our own code without asking the network for anything.
PIP := $(BIN)/pip --quiet --disable-pip-version-check
LOCKED := $(PIP) install --require-hashes --only-binary :all:
OURSELVES := $(PIP) install --no-deps --no-build-isolation --editable .

.venv/.installed: pyproject.toml requirements.lock requirements-build.lock
	$(PYTHON) -m venv .venv
	$(LOCKED) --requirement requirements.lock --requirement requirements-build.lock
	$(OURSELVES)
	@touch $@

.venv/.setup: .venv/.installed requirements-dev.lock
	$(LOCKED) --requirement requirements-dev.lock
	@touch $@

demo: install                      ## a simulated payer network and the exporter on it, at 127.0.0.1:9842 or as ARGS say
	$(BIN)/fhir-task-exporter demo $(ARGS)

test: setup                        ## every test that needs no real server
	$(BIN)/pytest -m 'not e2e' --numprocesses auto --dist worksteal

e2e: setup                         ## the tests against HAPI FHIR, Prometheus and other real things
	$(BIN)/pytest -m e2e --numprocesses 4 --dist loadscope

crash: setup                       ## kill it 500 times, break its disk 100 times, print the figures; or as ARGS say
	$(BIN)/python -m tests.crash $(ARGS)

hostile: setup                     ## what a hostile server does to an exporter, as a table; of it what ARGS names
	$(BIN)/python -m tests.hostile $(ARGS)

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

# One file for the image and `make install`, one for the tools that build the wheel, one for tests and linters; the later
# ones take their versions from the first. `make lock ARGS=--upgrade` takes the newest versions.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build --no-strip-extras \
	--no-annotate --custom-compile-command 'make lock' $(ARGS)
BUILD_REQUIREMENTS := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: setup                        ## write the lock files for what pyproject.toml asks for
	$(LOCK) pyproject.toml --extra holidays --output-file requirements.lock
	$(LOCK) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(BIN)/python -c '$(BUILD_REQUIREMENTS)' \
		| $(LOCK) - --constraint requirements-dev.lock --output-file requirements-build.lock

SECONDS ?= 600
fuzz: setup                        ## look for inputs that break a rule, for ten minutes or as SECONDS says
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

bench: setup                       ## the figures of docs/performance.md
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
