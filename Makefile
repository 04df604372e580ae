# Everything a person or a build machine does with this repository.
# The environment in .venv is made from hash-locked requirements by tools/environment and is only
# touched again when a lock or the package's own description changes.

SHELL := /bin/sh
# Hundreds of processes start while tests run: what one has compiled the others need not.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help

BIN := .venv/bin
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development
CODE := src $(wildcard tests bench tools verifier)
DESCRIPTION := pyproject.toml src/ordergate/__init__.py

# Which tests, and how: make test TESTS=tests/core PYTEST_ARGS=-x
TESTS ?= tests
PYTEST_ARGS ?=
# Half as many again as there are cores: most of what a long test does is to wait for servers.
WORKERS ?= $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2))
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

SCANNERS := .venv-scan/.made
SCAN := .venv-scan/bin
LOCKS := requirements.txt requirements-dev.txt requirements-scan.txt
QUIET := --metrics off --disable-version-check --jobs 1

.PHONY: help run test test-long asvs sim sim-teeth mutants risk-coverage bench lint scan advisories sbom types docs fix lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

$(RUNTIME): requirements.txt $(DESCRIPTION) tools/environment
	@tools/environment runtime

$(DEVELOPMENT): requirements.txt requirements-dev.txt $(DESCRIPTION) tools/environment
	@tools/environment development

run: $(RUNTIME) ## the gateway, its venue and its database, until Ctrl-C (ARGS="--port 9000")
	@exec $(BIN)/ordergate run $(ARGS)

test: $(DEVELOPMENT) ## the whole suite
	$(PYTEST) $(TESTS)

test-long: $(DEVELOPMENT) ## the same tests in longer doses
	ORDERGATE_DOSE=long $(PYTEST) --timeout 3600 $(TESTS)

asvs: $(DEVELOPMENT) ## whether every claim about security is shown, by runs with ORDERGATE_OUTCOMES=build/outcomes
	$(BIN)/python -m tests.claims build/outcomes

sim: $(DEVELOPMENT) ## the simulation: 2 000 seeds (ARGS="--seeds 50000 --record bench/results")
	$(BIN)/ordergate drill --seeds 2000 --hits-min 50 --orders-min 100 $(ARGS)

sim-teeth: $(DEVELOPMENT) ## plants known mistakes and hunts each with seeds (ARGS="--p0", "--only ID")
	$(BIN)/python -m tools.teeth --record bench/results $(ARGS)

mutants: $(DEVELOPMENT) ## plants a mistake in every line of the risk controls, one at a time (ARGS="NAME*")
	ORDERGATE_DOSE=short $(BIN)/mutmut run $(ARGS)
	$(BIN)/python -m tools.mutants

risk-coverage: $(DEVELOPMENT) ## lines and branches of the risk controls that tests go through: 95 % at least
	ORDERGATE_DOSE=short $(BIN)/python -m tools.risk_coverage $(ARGS)

bench: $(DEVELOPMENT) ## the performance suite; writes bench/results/
	$(BIN)/python -m bench $(ARGS)

lint: $(DEVELOPMENT) ## style and import contracts
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/lint-imports

$(SCANNERS): requirements-scan.txt
	rm -rf $(@D) && $(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		--only-binary :all: --require-hashes -r requirements-scan.txt
	@touch $@

scan: $(DEVELOPMENT) $(SCANNERS) ## rules of our own (semgrep), and whether a secret was written down
	cd tools/scan && PATH="$(CURDIR)/$(SCAN):$$PATH" semgrep scan --test --config rules.yaml samples.py $(QUIET)
	PATH="$(CURDIR)/$(SCAN):$$PATH" semgrep scan --config tools/scan/rules.yaml --error --quiet \
		--exclude samples.py $(QUIET) src bench tools verifier
	git ls-files -z -- . ':!requirements*.txt' ':!*package-lock.json' ':!bench/results' \
		| xargs -0 $(SCAN)/detect-secrets-hook --baseline tools/scan/not-secrets.json

advisories: $(SCANNERS) ## whether anything that is locked has a published advisory (asks the package index)
	@failed=0; for each in $(LOCKS); do \
		$(SCAN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$each || failed=1; \
	done; exit $$failed

sbom: $(SCANNERS) ## what the product is made of, as CycloneDX, in build/sbom.json
	mkdir -p build
	$(SCAN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --validate \
		-o build/sbom.json requirements.txt

types: $(DEVELOPMENT) ## mypy, strict
	$(BIN)/mypy $(CODE)

docs: $(DEVELOPMENT) ## the documentation as a site in build/site, every link checked
	$(BIN)/python -m tools.documentation

fix: $(DEVELOPMENT) ## mend what ruff can mend by itself
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

lock: ## resolve the requirements anew (needs uv and npm)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate requirements.in -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate requirements-dev.in -o requirements-dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --no-strip-extras requirements-scan.in -o requirements-scan.txt
	$(BIN)/python -m tools.npm_lock

clean: ## remove what make made; a gateway's own state stays
	rm -rf .venv .venv-scan build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
