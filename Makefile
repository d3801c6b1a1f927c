# Every target sets up what it needs: Python 3.11 or later, make and pip's registry are enough.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-stamp
DEV := $(VENV)/.dev-stamp
TOOLKITS := .venv-toolkits/.stamp
CLIENTS := tools/clients/node_modules/.stamp
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint types bench docs clients toolkits lock clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(RUN) ## The whole job, microphone to manifest, on this machine
	@$(BIN)/xiangyin demo

serve: $(RUN) ## Run the server and its pages on this machine
	@$(BIN)/xiangyin serve

test: $(DEV) $(TOOLKITS) $(CLIENTS) lint types ## Every check and every test
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup

lint: $(DEV) ## Style
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .

types: $(DEV) ## Types, strict
	@$(BIN)/mypy

bench: $(DEV) $(CLIENTS) ## Figures beside the named peers, in one run each
	@for f in bench/[a-z]*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

docs: $(DEV) ## Write the generated pages anew
	@$(BIN)/python -m tools.docs

clients: $(CLIENTS) ## Third-party upload clients that tests and benchmarks use (needs npm)

toolkits: $(TOOLKITS) ## Third-party toolkits that read our releases in tests

lock: ## Write the lock files anew (needs uv)
	@tools/lock.sh

clean: ## Remove the environments and caches
	rm -rf $(VENV) .venv-toolkits tools/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUN): requirements.lock pyproject.toml tools/setup.py
	@$(PY) tools/setup.py $(VENV) requirements.lock
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml tools/setup.py
	@$(PY) tools/setup.py $(VENV) requirements-dev.lock
	@touch $@ $(RUN)

$(TOOLKITS): tools/toolkits/requirements.lock tools/setup.py
	@$(PY) tools/setup.py --optional .venv-toolkits tools/toolkits/requirements.lock
	@touch $@

$(CLIENTS): tools/clients/package-lock.json tools/clients/package.json
	@if command -v npm >/dev/null && (cd tools/clients && npm ci --silent --ignore-scripts --no-audit --no-fund); \
	then touch $@; \
	else echo "SETUP: tus-js-client cannot be had here (needs npm); its tests will be skipped." >&2; fi
