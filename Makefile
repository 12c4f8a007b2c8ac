# `make help` tells what there is. Needs Python 3.11 with venv, git and make; everything else comes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CACHES := .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build
NO_SERVER := tests/unit tests/property tests/simulation
PEERS := $(VENV)/peers# an environment of its own for what the services are measured beside
SERVERS := tests/integration tests/contract# the long files first, so that both cores end at about one time
FAULTS := $(addprefix tests/,integration/test_flood.py integration/test_kernel_crowds.py integration/test_kernel_lines.py \
	integration/test_kernel_dead_entries.py e2e/test_chaos.py)
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --no-config --generate-hashes --strip-extras \
	--allow-unsafe --all-build-deps --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help install demo up down test check alerts bench chaos faults mutants lock generate clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

install: $(INSTALLED) ## Install everything into .venv, from the lock file

demo: $(INSTALLED) ## Start everything, play realistic traffic and show what happens
	@$(BIN)/dunning demo

up: $(INSTALLED) ## Run Kafka, PostgreSQL, a mail sink and the services until Ctrl-C
	@$(BIN)/dunning up

down: $(INSTALLED) ## Stop what `dunning up` left running; the data stays
	@$(BIN)/dunning down

test: $(INSTALLED) ## Run every test, those on a real Kafka and PostgreSQL included
	@mkdir -p build  # the end-to-end tests follow the real clock and mostly wait: all others run behind them
	@nice -n 10 $(BIN)/python -m pytest $(NO_SERVER) $(SERVERS) -n 2 --dist loadfile --no-loadscope-reorder --durations=20 \
		> build/tests.log 2>&1 & behind=$$!; \
		$(BIN)/python -m pytest tests/e2e --durations=20; live=$$?; \
		echo 'Waiting for the other tests'; wait $$behind; others=$$?; cat build/tests.log; \
		test $$live -eq 0 -a $$others -eq 0

check: $(INSTALLED) ## Formatter, linter, types, import rules, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dunning.contracts.generate --check

alerts: $(INSTALLED) ## Check Prometheus' alerts and run their unit tests; needs promtool, Debian or Go
	@promtool=$$(deploy/prometheus/promtool $(VENV)/promtool) && cd deploy/prometheus && \
		case $$promtool in /*) ;; *) promtool=../../$$promtool ;; esac && \
		$$promtool check config prometheus.yaml && $$promtool test rules alerts_test.yaml

bench: $(INSTALLED) $(PEERS)/.installed ## Measure all against its goals, 2 hours; or ARGS='timers --quick'
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(INSTALLED) ## Let random faults strike the real platform: SEED=1 MINUTES=10
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),10)

faults: $(INSTALLED) ## Bring about the faults that `make test` makes smaller at their full size, half an hour
	@DUNNING_TEST_FULL_SIZES=1 $(BIN)/python -m pytest $(FAULTS) -o timeout=1800 --durations=20

mutants: $(INSTALLED) ## See whether quick tests find small mistakes: SAMPLE=300 SEED=1
	@nice -n 19 $(BIN)/python -m tests.mutants --sample $(or $(SAMPLE),300) --seed $(or $(SEED),1)

lock: $(INSTALLED) ## Renew the lock files of packages and of the broker's jars
	$(COMPILE) --upgrade --extra local --extra dev --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --upgrade --output-file requirements/run.txt pyproject.toml
	$(filter-out --all-build-deps,$(COMPILE)) --upgrade --output-file requirements/peers.txt requirements/peers.in
	$(BIN)/python -m dunning_cli.stack.jars

generate: $(INSTALLED) ## Write the schemas anew from the contracts in code
	@$(BIN)/python -m dunning.contracts.generate

clean: ## Remove the tools' caches; .venv and data stay
	@rm -rf $(CACHES)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 is needed: apt-get install python3 python3-venv, or make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo 'This Python cannot make environments: apt-get install python3-venv' >&2; exit 1; }
	@echo "Installing into $(VENV): about 150 MB to download, once"
	@test -x $(BIN)/python -a -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check install --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q services tests  # or each process compiles anew, where Python is told to write no bytecode
	@touch $@

$(PEERS)/.installed: requirements/peers.txt $(INSTALLED)
	@echo "Installing what the services are measured beside into $(PEERS)"
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/peers.txt
	@touch $@
