# Two commands do everything: `make demo` (set-up and main job), `make test` (set-up and tests).
# A torch that is already in the virtual environment (a GPU build, say) is kept as it is:
#   python3 -m venv .venv && .venv/bin/pip install torch...   and then make demo
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test lint format docs install clean
demo: $(VENV)/.ready
	$(BIN)/askaudio demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check_imports.py

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# the docs site, into site/; a broken link or an unknown name ends it with an error
docs: $(VENV)/.ready
	$(BIN)/python -m pip install --disable-pip-version-check -q -c $(VENV)/constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -q

install: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if $(BIN)/python -c "import torch" 2>/dev/null; then grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else cp constraints.txt $(VENV)/constraints.txt; fi
	$(BIN)/python -m pip install --disable-pip-version-check -q -c $(VENV)/constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo runs site
