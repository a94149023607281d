# Run `make` to see what there is. ARGS goes to the command: make test ARGS="-k zombie".
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
SERVICES = $$(scripts/venv python) scripts/services.py
export PYTHON

.PHONY: help setup demo run test check lint simulate mutants faults overload fuzz bench services services-down secrets lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.dev ## make .venv with everything: the bridge, its tests and tools
	@echo "setup: .venv is ready"

demo: .venv/.runtime ## play a whole case on simulated boards, mail and Facebook (needs only Python and make)
	@$(BIN)/burgernet-bridge demo $(ARGS)

run: .venv/.runtime ## run the bridge with config/bridge.yaml
	@exec $(BIN)/burgernet-bridge run $(ARGS)

test: .venv/.dev services ## run every test against a real RabbitMQ and PostgreSQL
	@scripts/with-services scripts/test $(ARGS)

lint: .venv/.dev ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict scripts
	$(BIN)/lint-imports

check: lint test ## everything that CI checks: lint and test

simulate: .venv/.dev ## play days of faults in virtual time (SEEDS=2000 FIRST=0, or REPLAY=FILE)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),2000) --first $(or $(FIRST),0) $(if $(REPLAY),--replay $(REPLAY))

mutants: .venv/.dev ## plant bugs in copies of the bridge, and show that the simulation finds each (minutes)
	@$(BIN)/python -m tests.simulation.hunt $(ARGS)

faults: .venv/.dev services ## break everything for real, print one page; a quarter of an hour (ONLY=sigkill SEED=1, or ARGS=--list)
	@$(BIN)/python -m tests.faults --seed $(or $(SEED),1) $(foreach name,$(ONLY),--only $(name)) $(ARGS)

overload: .venv/.dev services ## give the bridge more than it can do at once, and print what that does (ARGS="--share 0.1")
	@scripts/with-services $(BIN)/python -m tests.overload $(ARGS)

fuzz: .venv/.dev ## feed everything that reads with hostile input (INPUTS=1000000 ONLY=event,photo SEED=1)
	@scripts/venv fuzz
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) --only "$(ONLY)" --seed $(or $(SEED),1)

bench: .venv/.dev services ## measure speed beside bare programs and others; ARGS=--write keeps the page
	@scripts/with-services $(BIN)/python -m benchmarks $(ARGS)

services: ## start a RabbitMQ and a PostgreSQL for tests (data in .services/)
	@$(SERVICES) up

services-down: ## stop them
	@$(SERVICES) down

secrets: ## make random passwords for docker compose in deploy/secrets/ (existing ones stay)
	@deploy/create-secrets

lock: ## pin the requirements again (newer releases: make lock ARGS=--upgrade)
	@scripts/lock $(ARGS)

clean: ## stop the services and remove .venv, .services and caches (not var/, which holds your data)
	@[ ! -d .services ] || $(SERVICES) remove
	rm -rf .venv build dist simulated *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: requirements.txt pyproject.toml
	@scripts/venv runtime

.venv/.dev: requirements.txt requirements-dev.txt pyproject.toml
	@scripts/venv dev
