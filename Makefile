# `make demo` (set-up and the whole product once) and `make test` (set-up and all tests) are all that a clone needs.
# A torch that is already in the virtual environment (a GPU build, say) is kept as it is:
#   python3 -m venv .venv && .venv/bin/pip install torch...   and then make demo
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test test-lowest lint format docs wheel install clean
demo: $(VENV)/.ready
	$(BIN)/askaudio demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# the lowest versions that pyproject.toml allows, in an environment of their own: the tests that need no torch
TORCH_FREE_TESTS := audio checks config data engines index ingest scenes search server
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(PYTHON) tools/lowest_versions.py test > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pip install --disable-pip-version-check -q -c $(VENV)-lowest/lowest.txt \
		-e . pytest pytest-xdist hypothesis httpx psutil
	$(VENV)-lowest/bin/python -m pytest -n $(WORKERS) $(TORCH_FREE_TESTS:%=tests/%)

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

# builds the wheel, installs it (not this folder) into an environment of its own, and encodes a text with the shipped model
wheel:
	rm -rf build dist $(VENV)-wheel && $(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip wheel --disable-pip-version-check -q --no-deps -w dist .
	$(VENV)-wheel/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt dist/askaudio-*.whl
	cd dist && $(abspath $(VENV)-wheel)/bin/askaudio models && $(abspath $(VENV)-wheel)/bin/python -c \
		"from askaudio import load; assert load('small').encode_text(['rain']).shape[0] == 1"

install: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if $(BIN)/python -c "import torch" 2>/dev/null; then grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else cp constraints.txt $(VENV)/constraints.txt; fi
	$(BIN)/python -m pip install --disable-pip-version-check -q -c $(VENV)/constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-wheel build dist demo runs site
