# Everything runs from .venv, which is made on first use and refreshed when the
# requirements change. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -q -n 3

# Where the second and third run of the tests find their servers.
TEST_POSTGRES_URL ?= postgres://postgres:postgres@127.0.0.1:5432/postgres
TEST_MARIADB_URL ?= mysql://root@127.0.0.1:3306/gemproxy
TEST_REDIS_URL ?= redis://127.0.0.1:6379/15
OTHER_SERVERS = TEST_POSTGRES_URL='$(TEST_POSTGRES_URL)' \
	TEST_MARIADB_URL='$(TEST_MARIADB_URL)' TEST_REDIS_URL='$(TEST_REDIS_URL)'

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test lint format bench

help:
	@echo 'make demo    try it: sandbox, gateway and job worker with data of their own'
	@echo 'make serve   the real thing on http://127.0.0.1:8100 (PORT, HOST, .env)'
	@echo 'make test    lint, then all tests; PostgreSQL, Redis and MariaDB where reachable'
	@echo 'make lint    ruff, import rules, types, Django checks, OpenAPI'
	@echo 'make bench   measure the gateway beside a bare forwarder'
	@echo 'make format  rewrite the code in the one format'
	@echo 'make setup   only make .venv with what development needs'

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'gemproxy needs Python 3.11 or newer. Name one: make PYTHON=python3.12 …'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt | $(VENV)/pyvenv.cfg
	@echo 'Installing what the gateway needs (a minute or two)'
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements.txt requirements-dev.txt | $(VENV)/pyvenv.cfg
	@echo 'Installing what development needs (a minute or two)'
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(RUN_STAMP)

setup: $(DEV_STAMP)

demo: $(RUN_STAMP)
	@$(BIN)/python manage.py demo

serve: $(RUN_STAMP)
	@$(BIN)/python manage.py serve

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --urlconf proxy.surfaces.urls \
		--fail-on-warn --validate --file /dev/null

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The run that needs no server comes last, so that its summary ends the output.
test: lint
	@$(OTHER_SERVERS) $(BIN)/python -m tests.other_servers
	@echo '== SQLite and memory =='
	@TEST_DATABASE_URL= TEST_REDIS_URL= $(PYTEST)

bench: $(DEV_STAMP)
	@$(BIN)/python -m tests.bench
