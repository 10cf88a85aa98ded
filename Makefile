RUNS := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
# The first Python that really runs: a version manager's stand-in may exist and fail. Looking takes a second or more,
# so it is done once, and only if the answer is needed.
PYTHON ?= $(eval PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(RUNS)' 2>/dev/null && echo $$python && break; done))$(PYTHON)
BIN := .venv/bin

# Some images set it. Without bytecode, each of the many processes compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

# Without it pyright asks the network for its newest version at each run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

define NEEDS_PYTHON
@test -n "$(PYTHON)" && $(PYTHON) -c '$(RUNS)' 2>/dev/null || \
	{ echo "Python 3.11 or newer with venv is needed: name one with make PYTHON=/path/to/python" >&2; exit 1; }
endef

.DELETE_ON_ERROR:
.PHONY: help install demo generate check-generated lint types test interop docs dist screenshot mutations fuzz bench \
	bench-chat bench-bots bench-fleet clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: .venv/.ready ## the package and all tools, in .venv

# The demo needs a small part of what developers do, unless that is there already.
DEMO := $(if $(wildcard .venv/.ready),.venv,.build/demo)
demo: $(DEMO)/.ready ## two users talk through a local sandbox; KEEP=1 keeps its web page running
	@KEEP=$(KEEP) PYTHONPATH=generated:xmpp_ext:sandbox $(DEMO)/bin/python examples/demo.py

generate: .venv/.ready ## generate generated/ from spec/, and the blocking chat
	@$(BIN)/python -m generator

check-generated: .venv/.ready ## fail if generated files are out of date
	@$(BIN)/python -m generator --check

lint: .venv/.ready ## ruff and import-linter
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/lint-imports --no-logo

types: .venv/.ready ## mypy and pyright
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python

# Files in the order of their names: the conformance tests, many and quick, come last and keep all cores busy.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder
test: .venv/.ready ## pytest, on all cores
	@$(BIN)/python -m pytest $(PARALLEL)

interop: .venv/.ready ## tests with a real ejabberd, the JavaScript SDK, Chromium, OpenAPI tools; installs what is missing
	@tests/integration/install.sh
	@tests/interop/install.sh
	@tests/browser/install.sh
	@$(BIN)/python -m pytest $(PARALLEL) --server ejabberd tests/integration tests/interop tests/browser

# The warning is about a release of mkdocs that is not used here.
docs: .venv/.ready ## the documentation site, in .build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

screenshot: .venv/.ready ## take the picture of the sandbox page in docs/
	@tests/browser/install.sh
	@$(BIN)/python -m tests.browser.screenshot

mutations: .venv/.ready ## faults put in on purpose, which the conformance tests must catch; takes 10 minutes
	@$(BIN)/python -m tests.mutations

FUZZ_RUNS ?= 1000000
fuzz: .venv/.ready ## mutated input against the stanzas, FUZZ_RUNS times
	@$(BIN)/python -m tests.fuzz.harness --runs $(FUZZ_RUNS)

bench: .venv/.ready ## speed of the REST client, the stanzas, the generator (DOCUMENTS=folder for your own) and the sandbox
	@$(BIN)/python -m benchmarks.rest
	@$(BIN)/python -m benchmarks.stanzas
	@$(BIN)/python -m benchmarks.generator
	@$(BIN)/python -m benchmarks.documents "$(DOCUMENTS)"
	@$(BIN)/python -m benchmarks.sandbox

bench-chat: .venv/.ready ## the chat compared with raw slixmpp and the official JavaScript SDK, on an ejabberd that it installs
	@tests/integration/install.sh
	@$(BIN)/python -m benchmarks.chat

bench-bots: .venv/.ready ## kills, missed messages, speed and memory of bots; takes half an hour
	@$(BIN)/python -m benchmarks.bots

bench-fleet: .venv/.ready ## kills, takeovers, speed and memory of a fleet; takes half an hour
	@$(BIN)/python -m benchmarks.fleet

dist: .build/release/.ready ## wheel, sdist and bill of materials in dist/, checked: each extra installed, a bot frozen
	@rm -rf dist
	@.build/release/bin/python -m build . >.build/release/build.log || { cat .build/release/build.log; exit 1; }
	@.build/release/bin/twine check --strict dist/*
	@.build/release/bin/check-wheel-contents dist/*.whl
	@.build/release/bin/python -m tests.release.check

clean: ## remove .venv, .tox and all caches
	@rm -rf .venv .tox .build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml | $(BIN)/python
	@echo "Installing into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install -qq --editable . --group dev
	@touch $@

# What the demo imports, from pyproject.toml. Installing the package itself would first install what builds it.
DEMO_NEEDS := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = project["optional-dependencies"]; \
	print(*project["dependencies"], *extras["chat"], *extras["sandbox"], "rich", sep="\n")

# Make expands the whole recipe first, and looks for a Python in doing so: `info` speaks before that.
# A pip that is there already brings the newest one, which resolves in half the time. Without one, ensurepip is slower.
.build/demo/.ready: pyproject.toml
	$(info Setting up .build/demo, once)
	$(info Looking for Python 3.11 or newer)
	$(NEEDS_PYTHON)
	@echo "Creating a virtual environment with $(PYTHON)"
	@$(PYTHON) -m venv --clear --without-pip .build/demo
	@$(PYTHON) -c '$(DEMO_NEEDS)' >.build/demo/requirements.txt
	@echo "Adding pip"
	@$(PYTHON) -m pip --python .build/demo/bin/python install -qq --disable-pip-version-check --no-compile pip \
		2>/dev/null || .build/demo/bin/python -m ensurepip >/dev/null
	@echo "Installing what the chat and the sandbox need, which takes about 20 seconds"
	@.build/demo/bin/python -m pip install -qq --disable-pip-version-check --no-compile -r .build/demo/requirements.txt
	@touch $@

.build/release/.ready: pyproject.toml
	$(NEEDS_PYTHON)
	@echo "Installing release tools into .build/release"
	@$(PYTHON) -m venv --clear .build/release
	@.build/release/bin/python -m pip install -qq --disable-pip-version-check --upgrade "pip>=25.1"
	@.build/release/bin/python -m pip install -qq --group release
	@touch $@

$(BIN)/python:
	$(NEEDS_PYTHON)
	@$(PYTHON) -m venv --clear .venv
