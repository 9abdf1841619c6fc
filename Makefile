# make demo: the whole path on real data.   make test: the tests.   Both set up what they need first.
.POSIX:
.PHONY: help demo test test-all test-core lint docs fresh lock clean setup

EXTRAS = train,slayer,lava,report,map,dev
# of test-core; with train (CORE_EXTRAS=train,report,map,dev) the tests of training on the native backend run too
CORE_EXTRAS = report,map,dev
# the Python of test-core: python3.10 to python3.13
PYTHON = python3.12
# tests run on all cores; a worker that has nothing left takes over tests of the others
PARALLEL = -n logical --dist worksteal -p no:benchmark

help:
	@echo "make demo                        train, export, map, simulate on Lava, estimate: the whole path on real data"
	@echo "make test                        tests (Python 3.10 with torch and Lava)"
	@echo "make test-all                    the same with the slow ones"
	@echo "make test-core PYTHON=python3.12 tests of the half that needs neither torch nor Lava; with training on any Python:"
	@echo "                                 make test-core PYTHON=python3.12 CORE_EXTRAS=train,report,map,dev"
	@echo "make lint                        ruff and mypy"
	@echo "make docs                        the documentation as a site, in site/"
	@echo "make fresh PYTHON=python3.12     README and tutorials to the letter in an environment that is made for it"
	@echo "make lock                        write constraints.txt anew (needs uv)"
	@echo "make clean                       remove environments, runs and caches"

setup:
	@tools/setup.sh 3.10 .venv $(EXTRAS)

demo: setup
	@.venv/bin/neurodeploy demo --force

test: setup
	@.venv/bin/python -m pytest $(PARALLEL) -m "not slow"

test-all: setup
	@.venv/bin/python -m pytest $(PARALLEL)

test-core:
	@version=$$(echo $(PYTHON) | sed 's/.*python//'); \
	tools/setup.sh $$version .venv-core-$$version $(CORE_EXTRAS) && \
	.venv-core-$$version/bin/python -m pytest $(PARALLEL) -m "not slow"

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

docs:
	@tools/setup.sh 3.10 .venv-docs docs,report && .venv-docs/bin/mkdocs build --strict

fresh:
	@python3 tools/fresh_machine.py $$(echo $(PYTHON) | sed 's/.*python//')

lock:
	uv pip compile pyproject.toml --universal --python-version 3.10 --fork-strategy requires-python \
		--extra train --extra slayer --extra lava --extra report --extra map --extra sweep --extra data --extra oracle --extra docs --extra dev \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file constraints.txt

clean:
	rm -rf .venv .venv-core-* .venv-docs site runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
