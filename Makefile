# Cohort: two commands.
#   make demo   sets up what is missing, then runs a whole market on this machine
#   make test   sets up what is missing, then runs every test
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv/bin
# Arguments for the demo: make demo ARGS="--rounds 3 --seed 7"
ARGS ?=
# Parallel test processes. Half of the time a test waits for a chain or a database: twice the number of cores, up to 8.
# (nproc takes OMP_NUM_THREADS, exported below, for the number of cores.)
CORES := $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
JOBS ?= $(shell echo $$(($(CORES) < 4 ? 2 * $(CORES) : 8)))
# Whole markets at a time; each is a dozen processes.
MARKETS ?= 2

export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo kubo test test-contracts test-python test-market forge-in-one-piece everything-else-ready lint slither coverage mutation invariants-long differential-long prover lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## virtual environment, packages, compiled contracts (skipped when nothing changed)
	@$(PYTHON) deploy/bootstrap.py

demo: setup ## a whole market from one command; ARGS="--rounds 3 --seed 7" are passed on
	@$(VENV)/cohort demo $(ARGS)

test: ## every test: lint, contracts, Python, whole markets
	@$(PYTHON) deploy/bootstrap.py --npm
	@# pip leaves a core idle, and so does solc at times.
	@$(MAKE) --no-print-directory -j2 forge-in-one-piece everything-else-ready
	@$(MAKE) --no-print-directory test-python test-market

forge-in-one-piece: # after npm's packages; what it prints is not mixed with what others print
	@echo "The tests of the contracts run meanwhile (log: .cohort/forge.log)"
	@cd contracts && { npm run --silent test > ../.cohort/forge.log 2>&1; status=$$?; cat ../.cohort/forge.log; exit $$status; }

everything-else-ready: lint kubo

kubo: setup # built once, about two minutes, where Go is there; without a node its suites skip, and say so
	-@$(VENV)/python -m cohort_devnet.kubo

test-contracts: setup ## Solidity tests: unit, fuzz, invariants
	@cd contracts && npm run --silent test

test-python: setup kubo ## Python tests that need no whole market, in parallel
	@$(VENV)/python -m pytest -m "not market" -n $(JOBS) --dist worksteal

test-market: setup ## whole markets as processes
	@$(VENV)/python -m pytest -m market -n $(MARKETS) --dist loadfile

lint: setup ## ruff
	@$(VENV)/ruff check .

slither: setup ## static analysis of the contracts, in an environment of its own
	@test -x .cohort/slither/bin/slither || { $(PYTHON) -m venv .cohort/slither && \
		.cohort/slither/bin/pip install --quiet --disable-pip-version-check --require-hashes -r contracts/slither/requirements.lock; }
	@cd contracts && PATH="$(CURDIR)/.cohort/slither/bin:$(CURDIR)/contracts/node_modules/.bin:$$PATH" npm run --silent slither

coverage: setup ## lines and branches of the contracts that the tests reach
	@cd contracts && npm run --silent coverage

mutation: setup ## removes every check of the contracts in turn; a test must fail (a quarter of an hour); ARGS="--sample 400 --seed 7": others
	@$(VENV)/python contracts/mutation/run.py $(ARGS)

invariants-long: setup ## 10,000 random lives of a market instead of 500
	@cd contracts && npm run --silent invariants:long

differential-long: setup ## 100,000 random cases, Python against Solidity, instead of 2,000
	@$(VENV)/python -m tests.differential --cases 100000 --log tests/differential/long.log

prover: setup ## the compiled prover, several times as fast as the one in Python (optional; needs Go 1.23 or newer)
	@cd protocol/prover && go build -trimpath -ldflags="-s -w" -o $(CURDIR)/$(VENV)/cohort-prover .
	@echo "built $(VENV)/cohort-prover: workers use it from now on (COHORT_PROVER=python goes back)"

lock: ## resolve requirements.lock anew (needs uv in the environment)
	@$(VENV)/python -m uv pip compile --universal --generate-hashes --all-extras --python-version 3.11 --quiet \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock
	@$(VENV)/python -m uv pip compile --universal --generate-hashes --python-version 3.11 --quiet \
		--custom-compile-command "make lock" contracts/slither/requirements.in -o contracts/slither/requirements.lock
	@$(VENV)/python -m uv pip compile --universal --generate-hashes --python-version 3.11 --quiet \
		--custom-compile-command "make lock" benchmarks/flower/requirements.in -o benchmarks/flower/requirements.lock

clean: ## remove everything that set-up and runs have made
	rm -rf .venv .cohort build demo-report contracts/node_modules contracts/artifacts contracts/out contracts/cache
