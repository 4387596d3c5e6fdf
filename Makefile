# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TRIPTYCH_HOME ?= $(CURDIR)/.triptych
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help setup demo test audit lint bench bench-support bench-finance bench-recommend bench-methods bench-serving soak ui serve clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(VENV)/.runtime: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.bench: $(VENV)/.development
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

setup: $(VENV)/.development ## install everything that work on the project needs

demo: $(VENV)/.runtime ## fine-tune on the shipped sample, then serve the API on :8000 and the pages on :8501
	$(BIN)/triptych demo $(DEMO_OPTIONS)

lint: $(VENV)/.development ## ruff, mypy, the import contracts and bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ii -c pyproject.toml -r apps shared models data_connectors

audit: $(VENV)/.development ## known faults of the packages in use (pip-audit), where its service is reachable
	$(BIN)/python -m shared.dependency_audit

test: lint ## everything that must hold; integration tests beside all others
	$(BIN)/python -m tests $(PYTEST_OPTIONS)

soak: $(VENV)/.development ## the slow tests (load, kills, swaps), not in CI; kept in benchmarks/results/soak.md
	$(BIN)/python -m pytest -m soak --timeout=1800 -p tests.soak_results $(PYTEST_OPTIONS)

bench: bench-support bench-finance bench-recommend bench-methods bench-serving ## every benchmark table

bench-support: $(VENV)/.bench ## the support desk's table, ours beside Trainer's and SetFit's
	$(BIN)/python -m benchmarks.support

bench-finance: $(VENV)/.bench ## the finance monitor's table; needs TRIPTYCH_DATA
	$(BIN)/python -m benchmarks.finance

bench-recommend: $(VENV)/.bench ## the recommender's table beside implicit and irspack; needs TRIPTYCH_DATA
	$(BIN)/python -m benchmarks.recommend

bench-methods: $(VENV)/.bench ## what each way of fine-tuning is worth; needs TRIPTYCH_DATA
	$(BIN)/python -m benchmarks.methods

bench-serving: $(VENV)/.bench ## speed, memory, recovery and scale beside named peers; needs TRIPTYCH_DATA
	$(BIN)/python -m benchmarks.serving

ui: $(VENV)/.runtime ## the pages on :8501
	$(BIN)/triptych ui

serve: $(VENV)/.runtime ## the API on :8000
	$(BIN)/triptych serve

clean: ## remove what the targets above made
	rm -rf $(VENV) .triptych .pytest_cache .mypy_cache .ruff_cache
