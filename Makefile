# Quietpager. `make help` lists what there is.
SHELL := bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
ROOMS := agent_runtime analytics cli dashboards demo ingest lake

# Where Python may not keep what it compiled, each process compiles anew: seconds of each start.
unexport PYTHONDONTWRITEBYTECODE

##@ Use

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ { print substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(VENV)/.installed ## Install into .venv: afterwards .venv/bin/quietpager is there
	@:

.PHONY: demo
demo: install ## Run the pipeline on live agent traffic and leave the dashboard up (ONCE=1: exit at the end)
	@$(BIN)/quietpager demo $(if $(filter-out 0,$(ONCE)),--once)

##@ Develop

.PHONY: test
test: $(VENV)/.installed-test ## Run the tests, with coverage (ARGS='-k name' to choose, JOBS=4 side by side)
	@if command -v go >/dev/null; then collector/build || echo "No collector; the tests that need it are skipped."; fi
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term:skip-covered $(ARGS)

# With JOBS=4, whole modules run side by side, handed out in the order of tests/conftest.py.
SIDE_BY_SIDE = $(if $(JOBS),--numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder)

.PHONY: lint
lint: $(VENV)/.installed-test ## Check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing
	@$(BIN)/lint-imports
	@$(BIN)/shellcheck .ci/run collector/build
	@$(BIN)/hadolint Dockerfile

.PHONY: collector
collector: ## Build the OpenTelemetry Collector that the tests use (needs Go)
	@collector/build

.PHONY: bench
bench: $(VENV)/.installed-test ## Measure: each benchmark prints a ratio against something real (ARGS='--seconds 20')
	@failed=; for benchmark in $$(grep -l '__name__ == "__main__"' benchmarks/*.py); do \
	  echo "== $$benchmark"; $(BIN)/python "$$benchmark" $(ARGS) || failed="$$failed $$benchmark"; \
	done; \
	if [ -n "$$failed" ]; then echo "Not measured, see above:$$failed" >&2; exit 1; fi

.PHONY: fixtures
fixtures: $(VENV)/.installed-test ## Record again what libraries send; needs network and npm (ARGS='name_*' to choose)
	@$(BIN)/python -m tests.fixtures.record $(ARGS)

.PHONY: nightly
nightly: $(VENV)/.installed-test ## Run every test, the long ones too, with many more generated inputs
	@$(BIN)/python -m pytest -m "" --timeout=3600 --hypothesis-profile=nightly $(ARGS)

.PHONY: docs
docs: $(VENV)/.installed ## Write docs/reference again from the code
	@$(BIN)/python docs/generate.py

.PHONY: requirements
requirements: ## Pin the dependencies of pyproject.toml again (needs uv; UPGRADE=1 to take new versions)
	@uv pip compile $(COMPILE) --group build -o requirements.txt
	@uv pip compile $(COMPILE) --group build --group test -c requirements.txt -o requirements-test.txt

COMPILE = pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	--custom-compile-command 'make requirements' $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove the environment and everything that was generated
	@rm -rf $(VENV) dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# The stamps say when the environment was last made to match the pins. Each is written last, so an
# install that was interrupted is done again. Every package is checked against its hash; the build
# backend is among them, so installing Quietpager itself fetches nothing more.
PIP = $(BIN)/python -u -m pip --disable-pip-version-check --no-input
ONLY_NAMES = sed -nE 's/^Collecting ([^ ]+).*/  \1/p'

$(VENV)/.installed: requirements.txt pyproject.toml $(VENV)/.python
	@echo "Installing the pinned packages into $(VENV) (a minute or two, the first time)"
	@set -o pipefail; $(PIP) install --require-hashes -r requirements.txt | $(ONLY_NAMES)
	@$(PIP) install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	@echo "Installing the pinned packages of the tests into $(VENV)"
	@set -o pipefail; $(PIP) install --require-hashes -r requirements-test.txt | $(ONLY_NAMES)
	@touch $@

# A version manager's shim may exist and yet not run, so candidates are tried, not looked up.
$(VENV)/.python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Quietpager needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=/path/to/python3.13 install" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found cannot make virtual environments: its venv or ensurepip module is missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV)
	@touch $@
