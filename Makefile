# Everything that a person or a machine does with this tree. `make help` lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
export npm_config_progress := false
.PHONY: help setup ui run test bench-setup bench micro faults clusters attacks fuzz plans load screenshots check schema lock clean

PORT ?= 8000
ARGS ?=
TEST_WORKERS ?= 2
EXAMPLES ?= 100000
PY := .venv/bin/python
NODE := $(CURDIR)/requirements/node
UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' -not -path 'ui/dist/*' 2>/dev/null)
COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock" $(ARGS)

help:
	@echo "make run     start everything, run one demo task and serve on port $(PORT) until Ctrl-C  (PORT=, ARGS=)"
	@echo "make test    run the whole suite on real services; installs what it needs  (TEST_WORKERS= files at once, ARGS= goes to pytest)"
	@echo "make bench-setup  build the fast MongoDB-protocol server into .venv (needs cargo, takes minutes); all runs then use it"
	@echo "make bench   measure reading, following and tasks beside what one would use instead  (ARGS= names parts, --quick, --write for docs/performance.md)"
	@echo "make micro   time the parts that requests, events and tasks are made of, each by itself  (ARGS= goes to pytest)"
	@echo "make faults  break everything under load and print what was measured  (ARGS= names scenarios, --write docs/faults.md)"
	@echo "make clusters  kill the master of a Redis with Sentinel, and each of three nodes of RabbitMQ, under load  (ARGS= goes to pytest)"
	@echo "make attacks attack a gateway that has 3 GB of address space, at full length  (ARGS= goes to pytest)"
	@echo "make fuzz    try EXAMPLES=$(EXAMPLES) random requests of each sort on a gateway  (ARGS= goes to pytest, as -k http)"
	@echo "make plans   compare plans with graphql-core on EXAMPLES=$(EXAMPLES) generated operations  (ARGS= goes to pytest)"
	@echo "make load    run the load scripts for 30 s each on a stack of their own; writes build/load.md  (ARGS= names scripts, --seconds)"
	@echo "make screenshots  picture every page of the board in light, dark and narrow; writes docs/img"
	@echo "make check   formatting, lint, types, import rules, the schema's freshness, the pages"
	@echo "make setup   make .venv with everything, and the headway command in it"
	@echo "make schema  write schema.graphql from the code"
	@echo "make lock    resolve requirements/*.txt anew from pyproject.toml  (ARGS=--upgrade)"
	@echo "make clean   remove .venv, the built pages and caches; the data in .headway stays"

setup: .venv/installed

.venv/installed: requirements/dev.txt pyproject.toml
	@python=$$(requirements/python) && { $(PY) -c 'import pip' 2>/dev/null || { \
		echo "Making .venv with $$($$python --version)"; $$python -m venv --clear .venv; }; }
	@echo "Installing Python packages"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

ui: ui/dist/index.html

ui/node_modules/installed: ui/package-lock.json | .venv/installed
	@echo "Installing the pages' packages"
	@cd ui && $(NODE) npm ci --silent --no-fund --no-audit
	@touch $@

ui/dist/index.html: $(UI_SOURCES) ui/node_modules/installed
	@echo "Building the pages"
	@cd ui && $(NODE) npm run --silent build -- --logLevel warn
	@touch $@

run: setup ui
	@.venv/bin/headway up --demo --port $(PORT) $(ARGS)

test: setup ui
	@requirements/test-servers
	@if [ -f tests/node/package.json ]; then cd tests/node && $(NODE) npm ci --silent --no-fund --no-audit; fi
	@$(NODE) $(PY) -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench-setup: setup
	@cargo install secantus-mdb --version 0.5.3-beta.193 --ignore-rust-version --root .venv

build/bench/venv/installed: loadtest/bench/peers/python/requirements.txt | .venv/installed
	@echo "Installing the peers to measure beside"
	@$(PY) -m venv --clear build/bench/venv
	@build/bench/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

loadtest/bench/peers/node/node_modules/installed: loadtest/bench/peers/node/package-lock.json | .venv/installed
	@cd loadtest/bench/peers/node && $(NODE) npm ci --silent --no-fund --no-audit
	@touch $@

bench: setup build/bench/venv/installed loadtest/bench/peers/node/node_modules/installed
	@requirements/test-servers
	@$(PY) -m loadtest.bench $(ARGS)

micro: setup
	@$(PY) -m pytest tests/benchmarks --benchmark-enable --benchmark-only --benchmark-timer=time.process_time $(ARGS)

faults: setup
	@requirements/test-servers
	@$(PY) -m tests.faults $(ARGS)

clusters: setup
	@requirements/test-servers
	@HEADWAY_CLUSTERS=full $(PY) -m pytest tests/integration/clusters --timeout 600 $(ARGS)

attacks: setup
	@requirements/test-servers
	@HEADWAY_ATTACKS=full $(PY) -m pytest tests/attacks --timeout 600 $(ARGS)

fuzz: setup
	@requirements/test-servers
	@HEADWAY_FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest tests/fuzz --timeout 0 $(ARGS)

plans: setup
	@requirements/test-servers
	@HEADWAY_PLAN_EXAMPLES=$(EXAMPLES) HEADWAY_PLAN_SERVER_EXAMPLES=$$(( ($(EXAMPLES) + 49) / 50 )) \
		$(PY) -m pytest tests/unit/plans tests/integration/gateway_schema/test_plans_schema.py --timeout 0 $(ARGS)

load: setup
	@requirements/test-servers
	@$(PY) -m tests.load $(ARGS)

screenshots: setup ui
	@requirements/test-servers
	@$(PY) -m tests.pictures

check: setup ui/node_modules/installed
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo "Not formatted; run: .venv/bin/ruff format ."; exit 1; }
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@$(PY) -m gateway.schema_export --check || { echo "schema.graphql is stale; run: make schema"; exit 1; }
	@cd ui && $(NODE) npm run --silent check
	@echo "All checks passed."

schema: setup
	@$(PY) -m gateway.schema_export

lock: setup
	@$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	@$(COMPILE) pyproject.toml --all-extras --output-file requirements/dev.txt
	@echo setuptools | $(COMPILE) - --constraint requirements/dev.txt --output-file requirements/build.txt
	@$(COMPILE) loadtest/bench/peers/python/requirements.in --output-file loadtest/bench/peers/python/requirements.txt

clean:
	@rm -rf .venv ui/dist ui/node_modules tests/node/node_modules loadtest/bench/peers/*/node_modules build *.egg-info
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
