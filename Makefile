# The commands to know: `make demo` (see a picture), `make web` (a page for the browser), `make test` (see that it works).
# `make site-demo` serves a page that paints in the browser, `make docs` builds the documentation into site/,
# `make wheel-test` tries what would be published.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin

.PHONY: demo web site-demo test fuzz lint docs wheel-test clean

demo: $(VENV)/installed
	$(BIN)/impasto demo

web: $(VENV)/installed-web
	$(BIN)/impasto web

# The page that paints in the browser, without a server of ours: any that gives files does.
site-demo: $(VENV)/installed-onnx
	rm -rf runs/page
	$(BIN)/impasto export draft --web runs/page
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory runs/page 8000

# Two processes of one thread each: the tests are many and small, and PyTorch's threads would wait for each other.
test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Damaged files of every kind, each to a command that reads it: `make fuzz FILES=500 SEED=1`. What went wrong is printed,
# and lies in fuzz-found/.
FILES ?= 5000
SEED ?= 0
fuzz: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py $(FILES) $(SEED)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src

docs: $(VENV)/installed-docs
	$(BIN)/python tools/lessons.py
	$(BIN)/python tools/pages.py
	$(BIN)/zensical build --strict --clean

wheel-test:
	$(PYTHON) tools/try_wheel.py

# The install is editable, so only a change of the requirements makes pip run again. Without compiling every
# module of every package it takes half the time; Python compiles what is imported at first use.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e .
	touch $@

$(VENV)/installed-web: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[web]"
	touch $@

$(VENV)/installed-onnx: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[onnx]"
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf fuzz-found .venv .venv-newest .mypy_cache .pytest_cache .ruff_cache build dist site
