# Every target sets up what it needs in .venv, contracts/node_modules and web/node_modules: hash-locked packages only, nothing outside the folder.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
UV := .venv/.uv
READY := .venv/.ready
MODULES := contracts/node_modules/.ready
WEB := web/node_modules/.ready
CONSOLE := src/twinproof/server/web/index.html
# Without Node.js the tests that need the Solidity compiler, anvil, the TypeScript verifier or the console are skipped.
HAS_NODE := $(shell command -v node && command -v npm)
NODE := $(if $(HAS_NODE),$(MODULES) $(WEB) $(CONSOLE))
CODE := src tests $(if $(wildcard bench/*.py),bench) $(if $(wildcard examples/*.py examples/*/*.py),examples)
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links
export UV_PYTHON_DOWNLOADS := never

.PHONY: help demo test lint bench contracts console dist lock upgrade clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) $(if $(HAS_NODE),$(CONSOLE)) ## run the demonstration (ARGS="..." are passed on)
	$(BIN)/twinproof demo $(ARGS)

test: $(READY) $(NODE) ## run all tests (ARGS="..." are passed on to pytest)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY) ## check style, format, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

bench: $(READY) ## measure (ARGS="..." are passed on)
	$(BIN)/python -m bench $(ARGS)

contracts: $(MODULES) ## compile the contracts into their artefacts (ARGS="NAME ...": only these)
	node contracts/build.mjs $(ARGS)

console: $(CONSOLE) ## build the web console into the package

dist: $(READY) $(CONSOLE) ## build a wheel with the console inside
	$(BIN)/uv build -q --wheel --no-build-isolation --python $(BIN)/python -o dist .

lock: $(UV) ## write requirements/*.txt anew from pyproject.toml, keeping versions that still fit
	@cp -p requirements/bootstrap.txt .venv/.bootstrap
	$(COMPILE) --group bootstrap -o requirements/bootstrap.txt
	@# Unchanged, it must not look new: $(UV) would be made anew, and everything in .venv with it.
	@! cmp -s requirements/bootstrap.txt .venv/.bootstrap || touch -r .venv/.bootstrap requirements/bootstrap.txt
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) pyproject.toml --all-extras --group dev -c requirements/bootstrap.txt -c requirements/base.txt -o requirements/dev.txt

upgrade: $(UV) ## the same with the newest versions
	$(MAKE) lock COMPILE="$(COMPILE) --upgrade"

clean: ## remove everything that these targets made
	rm -rf .venv contracts/node_modules web/node_modules web/dist src/twinproof/server/web dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# A python3 that is new enough, unless the caller names one: make PYTHON=/path/to/python3.12 test
$(UV): requirements/bootstrap.txt
	@python="$(PYTHON)"; \
	for candidate in $${python:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "Twinproof needs Python 3.11 or newer; found $${python:-python3}: $$($${python:-python3} --version 2>/dev/null || echo does not run)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$($$found --version)"; \
	"$$found" -m venv --clear .venv || { echo "This Python has no venv (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(READY): $(UV) requirements/dev.txt pyproject.toml
	$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(MODULES): contracts/package.json contracts/package-lock.json
	cd contracts && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(WEB): web/package.json web/package-lock.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(CONSOLE): $(WEB) $(shell find web -path web/node_modules -prune -o -type f -not -path 'web/dist/*' -print 2>/dev/null)
	cd web && npm run --silent build
	@touch $@
