# Needs git, make and Python 3.11 or newer; everything else is installed into .venv and var.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input
WORKERS ?= auto
# mypy's Django plugin imports the settings; nothing connects to these.
CHECK_ENV := SECRET_KEY=check BASE_URL=http://localhost MEDIA_ROOT=/nonexistent DATABASE_URL=postgresql://u@localhost/d \
	REDIS_URL=redis://localhost FIELD_ENCRYPTION_KEYS=check

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format openapi columns lock wheels bench prove clean

help:  ## List these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/	/' | expand -t 12

demo: .venv/.runtime  ## Start everything, do the main job, serve until Ctrl-C (DEMO_ONCE=1, PORT=)
	@exec $(PY) -m payments_site.demo

test: .venv/.development  ## Run every test on a PostgreSQL and a Redis of their own
	@exec $(PY) -m pytest -n $(WORKERS) --dist loadgroup -q $(ARGS)

check: .venv/.development  ## Lint, format, types, import contracts, migrations
	$(BIN)/ruff check -q .
	$(BIN)/ruff format --check -q .
	$(CHECK_ENV) $(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@exec $(PY) -m pytest -q -n0 --no-schema tests/architecture tests/migrations/test_migration_files.py

lint: .venv/.development  ## Lint only
	$(BIN)/ruff check .

format: .venv/.development  ## Format and fix what can be fixed
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

openapi: .venv/.development  ## Record the examples of the API's reference and write docs/openapi.json
	@RECORD_EXAMPLES=1 $(PY) -m pytest -q -n0 tests/acceptance/test_openapi.py -k running_api
	@$(CHECK_ENV) DJANGO_SETTINGS_MODULE=payments_site.settings.test exec $(PY) manage.py openapi

columns: .venv/.runtime  ## Write docs/columns.md from the models
	@$(CHECK_ENV) DJANGO_SETTINGS_MODULE=payments_site.settings.test exec $(PY) manage.py columns

lock: .venv/.runtime  ## Write requirements.lock from requirements.txt: every package of the runtime, by hash
	@$(PIP) -q --target var/uv uv==0.13.9
	@(echo '# Written by `make lock` from requirements.txt: every package of the runtime, by hash. Do not edit.'; \
	var/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.txt) \
	> requirements.lock.new && mv requirements.lock.new requirements.lock

wheels: .venv/.development  ## Record which wheels exist for the pins (tests/architecture/wheels.json)
	@exec $(PY) -m tests.architecture.wheels

bench: .venv/.runtime  ## Measure the ledger beside PostgreSQL's own limit
	@exec $(PY) -m bench.ledger $(ARGS)

prove: .venv/.development  ## Try every promise and report to var/prove.md (FULL=1: full counts, SEED= repeats)
	@FULL=$(FULL) SEED=$(SEED) exec $(PY) -m pytest -q --prove $(ARGS)

clean:  ## Stop what runs here and remove its data
	@if [ -x $(PY) ]; then $(PY) -m payments_site.demo clean; fi
	@rm -rf var

.venv/.runtime: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing requirements.lock into .venv (the first time takes about half a minute) …"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

.venv/.development: requirements.txt requirements-dev.txt .venv/.runtime
	@echo "Installing requirements-dev.txt into .venv …"
	@$(PIP) -r requirements-dev.txt
	@touch $@
