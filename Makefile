# Needs Python 3.11 or newer and make; everything else is installed into .venv, everything generated lies in .run.
PYTHON ?= python3
VENV := .venv/bin
LOCAL := $(VENV)/python -m include.local

export PYTHONPATH := $(CURDIR)
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help environment run stop status clean test check lint types bench load lock

help:
	@echo "make run                                  a demo: simulated province, Airflow, two cycles [PORT=8080]"
	@echo "make run LANDING=dir MONTH=YYYY-MM        the loop on your own deliveries [AS_OF=...] [DISPATCH_LATE=1]"
	@echo "make status                               what is running, and where"
	@echo "make stop                                 end every process of it"
	@echo "make clean                                remove demo and environment; your own data only with CONFIRM=yes"
	@echo "make test                                 all tests"
	@echo "make check                                lint, types, SQL and all tests"
	@echo "make bench SUBSCRIBERS=1000000            time and memory of every stage"
	@echo "make load TICKETS=1000000 AGENTS=50      agents at once at a full desk, and Airflow's heartbeats"
	@echo "make lock                                 compile requirements.in into requirements.txt"

environment:
	@command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)'. Install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) include/local/environment.py

run: environment
	@$(LOCAL) start $(if $(PORT),--port $(PORT)) \
		$(if $(LANDING),--landing '$(LANDING)') $(if $(MONTH),--month '$(MONTH)') \
		$(if $(AS_OF),--as-of '$(AS_OF)') $(if $(DISPATCH_LATE),--dispatch-late '$(DISPATCH_LATE)')

# Ending and removing must work with a broken or missing environment too: standard library only
stop:
	@$(PYTHON) -m include.local stop

status:
	@$(or $(wildcard $(VENV)/python),$(PYTHON)) -m include.local status

clean:
	@$(PYTHON) -m include.local clean --confirm '$(CONFIRM)'

test: environment
	@$(VENV)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: environment
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/sqlfluff lint --disable-progress-bar sql

types: environment
	@$(VENV)/mypy --strict include

check: lint types test

SUBSCRIBERS ?= 1000000
bench: environment
	@$(VENV)/python -m include.local.bench --subscribers $(SUBSCRIBERS)

TICKETS ?= 1000000
AGENTS ?= 50
load: environment
	@$(VENV)/python -m tests.desk.load.desk --tickets $(TICKETS) --agents $(AGENTS)

lock: environment
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		--output-file requirements.txt requirements.in
