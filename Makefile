# Every target works on a fresh clone and needs no argument. `make` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Runs a command as root of namespaces that end with it.
SANDBOX := $(BIN)/python -m conntap.lab.sandbox --

# One seed for everything random: order of tests, Hypothesis, proptest. Repeat a run with `make test SEED=…`.
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

# One interpreter for maturin, cargo and clippy, so that none of them builds PyO3 again for another.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export PROPTEST_RNG_SEED := $(SEED)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast test-rust test-python lint lint-python lint-rust lint-generated \
        fmt gen fuzz bench parity valgrind docs wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- build

setup: $(VENV)/.built ## make .venv with a release build and all that the other targets need

$(VENV)/.deps: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "conntap needs Python 3.11 or later; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "conntap needs Rust: https://rustup.rs" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/.built: $(VENV)/.deps $(RUST_SOURCES)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet >/dev/null
	@touch $@

wheel: $(VENV)/.deps ## one abi3 wheel and the source archive, in dist/
	$(BIN)/maturin build --release --strip --out dist
	$(BIN)/maturin sdist --out dist

clean: ## remove everything that was built
	rm -rf $(VENV) target dist build fuzz/target fuzz/artifacts
	rm -rf .hypothesis .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find python tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/conntap/_core*.so

# ---------------------------------------------------------------- see it

demo: setup ## an FTP download through a NAT gateway, seen live on this kernel
	@scripts/system-packages demo
	@$(BIN)/conntap demo

# ---------------------------------------------------------------- check it

test: setup ## everything that CI runs: lint, Rust, Python, lab on the real kernel, goldens
	@echo "seed $(SEED)   (repeat with: make test SEED=$(SEED))"
	@scripts/system-packages test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-rust SEED=$(SEED)
	@$(MAKE) --no-print-directory test-python SEED=$(SEED)

test-fast: setup ## what needs no namespaces and no waiting
	cargo test --quiet -p conntap-core
	$(BIN)/python -m pytest -q -m 'not lab and not slow' --randomly-seed=$(SEED) --hypothesis-seed=$(SEED)

# The compiler may want the network, the sandbox has none: build first.
test-rust: setup
	cargo test --quiet -p conntap-core
	cargo test --quiet -p conntap-sys --no-run
	@if $(SANDBOX) true; then $(SANDBOX) cargo test --quiet -p conntap-sys; \
	else echo "skipped: tests of conntap-sys: the kernel refuses namespaces"; fi

# Fresh user, network, mount and process namespaces: nothing here touches the machine's own tables.
# Without them the tests that need one skip themselves, with that reason.
test-python: setup
	@$(SANDBOX) true || echo "no namespaces: the tests that need one will be skipped"
	$$($(SANDBOX) true 2>/dev/null && echo $(SANDBOX)) $(BIN)/python -m pytest \
	  --held-skips=tests/skips.txt --randomly-seed=$(SEED) --hypothesis-seed=$(SEED)

lint: lint-python lint-rust lint-generated ## ruff, pyright strict, stubtest, import-linter, clippy, rustfmt, generated files

lint-python: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	MYPYPATH=python $(BIN)/stubtest conntap._core --ignore-disjoint-bases --allowlist scripts/stubtest-allowed
	$(BIN)/lint-imports

lint-rust: $(VENV)/.deps
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

lint-generated: setup
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/packaging.py --check

fmt: $(VENV)/.deps ## format Python and Rust
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	cargo fmt --all

gen: setup ## write what is made from schema/fields.toml and from the commands' own records
	$(BIN)/python scripts/generate.py
	$(BIN)/python -m conntap.audit.pages docs/audit.md
	$(BIN)/python scripts/packaging.py

parity: setup ## the engine against this kernel: 36,000 generated conversations of every kind; a table
	@scripts/system-packages test
	$(BIN)/python scripts/parity.py --seed $(SEED)

fuzz: setup ## coverage-guided fuzzing on the stable toolchain, packets in bulk, every helper; reports executions
	fuzz/run.sh
	cd fuzz && cargo run --quiet --release --example bulk -- 10_000_000
	$(BIN)/python fuzz/helpers.py --seconds 10

valgrind: setup ## Valgrind over the unsafe crate and the binding
	scripts/valgrind.sh

bench: setup ## the speed table, side by side in one run; written to docs/benchmarks.md
	$(BIN)/python -m benches

docs: gen ## generated pages and pictures, then every block of README.md is run
	$(BIN)/python scripts/explain_picture.py
	$(BIN)/python scripts/readme.py
