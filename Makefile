# Every target sets up by itself. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
RIVALS := .venv/rivals
OLD := .venv-oldest/ready

# Asked before anything is downloaded.
OLD_PYTHON := xent needs Python 3.11 or newer. Name one, as in: make PYTHON=python3.12
ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "$(OLD_PYTHON)   ($(PYTHON) is $$($(PYTHON) --version 2>&1))"; exit 1; }

help:             ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(READY)   ## make .venv with xent, all extras and the developers' tools

$(READY): pyproject.toml constraints.txt
	@$(ENOUGH)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[all]" --group dev
	@touch $(READY)

# Compared with in tests that skip without it: a minute's compiling, where there is a C++ compiler.
$(RIVALS): $(READY)
	-$(BIN)/python -m pip install --quiet -c constraints.txt kenlm
	@touch $(RIVALS)

demo: $(READY)    ## train on real digits under five losses, compare them in bits, write report.html
	$(BIN)/xent demo

# A file stays in one process, and what it sets up is set up once; tests/conftest.py gives the order,
# in which the two seldom compile the same loop at the same time.
TWO := -n 2 --dist loadfile --no-loadscope-reorder

test: $(RIVALS)   ## run the everyday tests
	$(BIN)/python -m pytest $(TWO) -m "not long"

test-grids: $(RIVALS) ## run the cases of grids that `make test` leaves out; of three parts one: PART=1/3
	$(BIN)/python -m pytest $(TWO) -m "grid and long" $(if $(PART),--part $(PART))

test-long: $(RIVALS)  ## run the long tests: many kill -9, many examples
	$(BIN)/python -m pytest -n 2 -m long

test-long-short: $(RIVALS)  ## run one case of each long test
	$(BIN)/python -m pytest -n 2 -m long --one-case

# Each processor level is a run of its own: Numba compiles for one.
LEVELS := $(if $(filter x86_64,$(shell uname -m)),generic x86-64-v3,generic)
EXACT := tests/math tests/measures/test_accuracy.py tests/measures/test_differences.py \
	tests/losses/test_accuracy.py tests/losses/test_kernels.py tests/losses/test_small_batches.py
test-generic: $(READY)  ## run the tests of exactness and of equal bits without FMA and AVX, and with AVX2 alone
	for level in $(LEVELS); do NUMBA_CPU_NAME=$$level NUMBA_CPU_FEATURES= \
		$(BIN)/python -m pytest $(TWO) -m "not long" $(EXACT) || exit 1; done

# What calls the libraries: data frames and files, commands, pages, estimators, distributions, JAX,
# and, for Numba, exactness. An old Numba compiles half as long again, so not all of every room.
OLDEST := tests/cellar tests/trees/test_estimators.py tests/trees/test_wide_tables.py \
	tests/trees/test_other_arrays.py tests/trees/test_sparse.py tests/trees/test_zones.py \
	$(addprefix tests/cli/test_,addresses.py bad_files.py commands.py evaluate_arrays.py \
		evaluate_command.py help.py measures_commands.py terminals.py) \
	$(addprefix tests/evaluation/test_,accumulator.py calibrate.py compare_page.py evaluate.py \
		hooks.py html.py other_calibrators.py) \
	tests/measures/densities tests/measures/tables \
	$(addprefix tests/measures/test_,accuracy.py differences.py gradients.py sparse.py \
		symbols.py transforms.py) \
	$(addprefix tests/training/test_,classifier.py dense.py encoding.py export.py images.py) \
	tests/language/test_counts.py tests/losses/test_accuracy.py
test-oldest: $(OLD)  ## run the tests with the lowest versions that pyproject.toml names
	.venv-oldest/bin/python -m pytest $(TWO) -m "not long" -o filterwarnings=default -o xfail_strict=false $(OLDEST)

test-oldest-short: ## run some of them
	$(MAKE) test-oldest OLDEST="tests/cellar tests/cli/test_help.py \
		tests/trees/test_estimators.py tests/training/test_classifier.py"

$(OLD): pyproject.toml constraints-oldest.txt
	@$(ENOUGH)
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -c constraints-oldest.txt torch==2.13.0
	.venv-oldest/bin/python -m pip install --quiet -c constraints-oldest.txt --editable ".[all]" pytest pytest-xdist hypothesis mpmath pandas polars playwright
	@touch $(OLD)

check: $(READY)   ## formatting, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/public_names.py
	$(BIN)/lint-imports

bench: $(READY)   ## measure every speed goal against its rival and write bench/RESULTS.md
	-$(BIN)/python -m pip install --quiet -c constraints.txt --group bench  # rivals, where they build
	$(BIN)/python -m bench

wheel: $(READY)   ## build a wheel with machine code for this Python and Numba, and test it
	$(BIN)/python build_wheel.py

RELEASE := .venv-release/ready
$(RELEASE): pyproject.toml
	@$(ENOUGH)
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --upgrade pip
	.venv-release/bin/python -m pip install --quiet --group release
	@touch $(RELEASE)

sdist: $(RELEASE) ## build the source distribution, which is plain Python
	.venv-release/bin/python -m build --sdist

release-check: $(RELEASE)  ## build, check and try the package, and list what is left before a release
	.venv-release/bin/python tests/wheel/check_release.py

strangers: $(READY)  ## run the README's commands on other people's kinds of files, told in strangers.html
	$(BIN)/python tests/strangers/strangers.py strangers.html

torture: $(READY)  ## kill commands, flip bits, mutate files, fill the disk, and count what goes wrong (minutes)
	PYTHONPATH=tests $(BIN)/python -m torture $(TORTURE)

mutants: $(READY)  ## make small slips, one at a time, and say how many the tests notice: make mutants ROOM=trees
	$(BIN)/python -m pip install --quiet -c constraints.txt --group mutants
	PYTHONPATH=tests $(BIN)/python -m mutants $(ROOM) $(MUTANTS)

docs: $(READY)    ## run every example of the README and of docs/
	$(BIN)/python -m pytest tests/test_docs.py

tables: $(READY)  ## write the tables of docs/ that the code knows, and what type checkers know
	$(BIN)/python docs/tables.py
	$(BIN)/python docs/stubs.py

site: $(READY)    ## build the documentation site, offline, with warnings as errors
	$(BIN)/python -m pip install --quiet --group site
	$(BIN)/python docs/site/build.py

pictures: $(READY)  ## take the pictures of the README again (needs Chromium)
	$(BIN)/python docs/pictures/make.py

.PHONY: help setup demo test test-grids test-long test-long-short test-oldest test-generic check bench wheel sdist strangers torture docs tables site pictures release-check
