# Two targets do everything on a fresh machine: `make hello` and `make test`. POSIX make, so that FreeBSD's reads it too.
.POSIX:

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
PREFIX = /usr/local
DESTDIR =
# `make bench` measures the distribution's own programs; so is the interpreter that runs ours then.
BENCH_PYTHON = /usr/bin/python3
# Of all faults that `make fault` knows, one of so many is tried; 1: everything.
FAULTS = 5

help:
	@echo 'make hello   set up, build GNU Hello through the daemon, show the result'
	@echo 'make guix-hello  set up, build GNU Hello by the real guix client'
	@echo 'make guix-catalogue  set up, build fifteen of Guix'"'"'s packages so, their tests too (as root; takes a while)'
	@echo 'make install  put it below PREFIX (/usr/local): program, service, manual pages, completions'
	@echo 'make test    set up, run all tests'
	@echo 'make catalogue  set up, build every package of the catalogue twice (as root; takes a while)'
	@echo 'make two-hosts  set up, build packages here and in a tree of Debian'"'"'s unstable suite, and compare (as root; takes a while)'
	@echo 'make fault   set up, let changes of files go wrong in every way (FAULTS=1: each of them)'
	@echo 'make lint    set up, check types and style'
	@echo 'make bench   set up, measure the daemon against its peers (as root)'
	@echo 'make clean   remove what make made (not the store)'

hello: $(VENV)/.ready
	@sh scripts/need hello
	@$(BIN)/python scripts/hello

guix-hello: $(VENV)/.ready
	@sh scripts/need guix-hello
	@sh scripts/guix-hello $(BIN)

guix-catalogue: $(VENV)/.ready
	@sh scripts/need catalogue
	@sh scripts/guix-hello $(BIN) examples/guix/gnu.scm

install: $(VENV)/.ready-install
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' sh scripts/install $(BIN)

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' sh scripts/uninstall

test: $(VENV)/.ready-test
	@sh scripts/need test
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_FLAGS)

fault: $(VENV)/.ready-test
	@sh scripts/need test
	FRUIX_FAULTS=$(FAULTS) $(BIN)/python -m pytest -n auto -q --timeout 7200 $(PYTEST_FLAGS) tests/faults

catalogue: $(VENV)/.ready
	@sh scripts/need catalogue
	@$(BIN)/python scripts/catalogue $(CATALOGUE_FLAGS)

two-hosts: $(VENV)/.ready
	@sh scripts/need two-hosts
	@$(BIN)/python scripts/two-hosts $(VENV)/two-hosts $(PACKAGES)

lint: $(VENV)/.ready-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@sh scripts/need lint
	shellcheck scripts/alone scripts/guix-hello scripts/install scripts/need scripts/peers scripts/uninstall scripts/venv \
	    src/fruix/guile/fruix/functions.sh

$(VENV)/.ready: pyproject.toml scripts/venv scripts/need
	@PYTHON='$(PYTHON)' sh scripts/venv $(VENV) terminal
	@touch $@

$(VENV)/.ready-install: $(VENV)/.ready
	@PYTHON='$(PYTHON)' sh scripts/venv $(VENV) install
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	@PYTHON='$(PYTHON)' sh scripts/venv $(VENV) test
	@touch $@

$(VENV)/bench/.ready: pyproject.toml scripts/venv scripts/need
	@PYTHON='$(BENCH_PYTHON)' sh scripts/venv $(VENV)/bench terminal
	@touch $@

bench: $(VENV)/bench/.ready
	@sh scripts/peers /var/tmp/fruix-peers
	$(VENV)/bench/bin/python benchmarks/run $(BENCH_FLAGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help catalogue guix-catalogue guix-hello hello two-hosts install uninstall test lint bench clean
