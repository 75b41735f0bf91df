# Every target may be repeated, and installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-long check bench clean

PY := .venv/bin/python
TIDEMARK := .venv/bin/tidemark
CODE := connectors jobs simulators deploy notebooks tests

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Install all that Tidemark needs into .venv and var/parts
	@deploy/local/parts/setup.sh

demo: setup ## Eleven weeks of a real machine and a simulated fleet in minutes (KEEP=1 leaves it running)
	@$(TIDEMARK) demo $(if $(KEEP),--keep)

up: setup ## Start the stack in real time and say where everything is
	@$(TIDEMARK) up

down: ## Stop the stack; data stay
	@if [ -x $(TIDEMARK) ]; then $(TIDEMARK) down; fi

check: setup ## Lint, types, import rules: seconds
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/mypy --strict
	.venv/bin/lint-imports

test: check ## check, then unit, property and integration tests on real parts
	$(PY) -m pytest -m "not long and not chaos"

test-long: check ## As test, with what takes longer
	$(PY) -m pytest -m "not chaos"

bench: setup ## Readings per second of the job and of a plain loop, into var/bench
	@$(PY) -m deploy.bench

clean: down ## Remove .venv, var and caches
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find connectors jobs simulators deploy notebooks tests -name __pycache__ -prune -exec rm -rf {} +
