# Cohort: two commands.
#   make demo   sets up what is missing, then runs a whole market on this machine
#   make test   sets up what is missing, then runs every test
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv/bin
# Arguments for the demo: make demo ARGS="--rounds 3 --seed 7"
ARGS ?=
# Parallel test processes.
JOBS ?= 2

export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test test-contracts test-python test-market lint lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## virtual environment, packages, compiled contracts (skipped when nothing changed)
	@$(PYTHON) deploy/bootstrap.py

demo: setup ## a whole market from one command; ARGS="--rounds 3 --seed 7" are passed on
	@$(VENV)/cohort demo $(ARGS)

test: setup ## every test: lint, contracts, Python (parallel), whole markets
	@$(MAKE) --no-print-directory lint test-contracts test-python test-market

test-contracts: setup ## Solidity tests: unit, fuzz, invariants
	@cd contracts && npm run --silent test

test-python: setup ## Python tests that need no whole market, in parallel
	@# Builds Kubo once (about two minutes, cached) where Go is there; without a node those suites skip, and say so.
	-@$(VENV)/python -m cohort_devnet.kubo
	@$(VENV)/python -m pytest -m "not market" -n $(JOBS) --dist worksteal

test-market: setup ## whole markets as processes, one after another
	@$(VENV)/python -m pytest -m market

lint: setup ## ruff
	@$(VENV)/ruff check .

lock: ## resolve requirements.lock anew (needs uv in the environment)
	@$(VENV)/python -m uv pip compile --universal --generate-hashes --all-extras --python-version 3.11 --quiet \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean: ## remove everything that set-up and runs have made
	rm -rf .venv .cohort build demo-report contracts/node_modules contracts/artifacts contracts/out contracts/cache
