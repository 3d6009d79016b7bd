# Each target sets up what it needs in .venv; a second run starts at once. ARGS are passed on: make up ARGS='--data-dir /srv/secmon'

.PHONY: help up test lint bench environment pins
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ARGS ?=
BIN := .venv/bin
export PYTHON

help:
	@echo 'make up      start secmon here: the collector and an agent for this very machine; Ctrl-C ends it'
	@echo 'make test    run the tests'
	@echo 'make lint    check style and types'
	@echo 'make bench   measure, side by side with what others need for the same'

up: environment
	@exec $(BIN)/secmon up $(ARGS)

test: environment
	@exec $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: environment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy secmon agents/secmon_agent tests

bench: environment
	@exec $(BIN)/python tests/bench/run.py $(ARGS)

environment:
	@sh .ci/environment

# Draws requirements.txt anew from both pyproject files; needs uv and a package index.
pins:
	@uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-annotate --no-header --no-emit-package secmon-agent --upgrade pyproject.toml --output-file requirements.txt
