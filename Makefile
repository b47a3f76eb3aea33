# Paperboy's commands. `make run` and `make test` need Python 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help run test check format messages lock bench bench-pages bench-delivery faults clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run  ## Install, then start web site, worker and beat; Ctrl-C stops them
	@$(BIN)/python manage.py up

test: $(VENV)/.test check  ## Install, check, and test on SQLite, then on PostgreSQL and Redis where they answer
	@$(BIN)/python -m tests.everywhere

check: $(VENV)/.test  ## Format, lint, types, architecture, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint templates --check --quiet
	$(BIN)/djlint templates --lint --quiet

format: $(VENV)/.test  ## Format Python and templates
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint templates --reformat --quiet

messages: $(VENV)/.test  ## Gather the sentences to translate, and compile what is translated
	$(BIN)/python -m tests.messages

lock: $(VENV)/.test  ## Write the lock files anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml $(LOCK) --quiet --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev -c requirements.lock $(LOCK) --quiet --output-file requirements-dev.lock
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

bench: $(VENV)/.test  ## Measure matching, composing, tastes and search
	@$(BIN)/python -m tests.benchmarks

bench-pages: $(VENV)/.test  ## Measure the site beside nginx; needs Debian's nginx-light and wrk
	@$(BIN)/python -m tests.benchmarks.pages

bench-delivery: $(VENV)/.test  ## Measure sending, slow ways and reports; needs Debian's postfix, PostgreSQL, Redis
	@$(BIN)/python -m tests.benchmarks.delivery

faults: $(VENV)/.test  ## Break everything while it sends, and write the table into the README; needs PostgreSQL, Redis
	@$(BIN)/python -m tests.faults --write

clean:  ## Remove what was installed; the data in var/ stays
	rm -rf $(VENV)

$(VENV)/.run: requirements.lock
	@echo "== Installing Paperboy into $(VENV) (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit("Paperboy needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make run PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

CLIENTS := 0.26 1.2

$(VENV)/.test: requirements.lock requirements-dev.lock $(CLIENTS:%=tests/clients/hub-%.txt)
	@echo "== Installing Paperboy and its tests' tools into $(VENV) (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit("Paperboy needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make test PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@for version in $(CLIENTS); do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --require-hashes \
			--target $(VENV)/hub-$$version --requirement tests/clients/hub-$$version.txt || exit 1; done
	@touch $@ $(VENV)/.run
