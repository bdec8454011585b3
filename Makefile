# Heldtrue. `make up` serves, `make demo` shows it at work, `make test` proves it.
DATA_DIR ?= data
LISTEN ?= 127.0.0.1:8443
PYTEST_ARGS ?=
WORKERS ?= 3
UP_ARGS ?= --demo
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

.PHONY: help up demo test-deps test check audit sbom format bench bench-edge bench-intake bench-deliveries bench-sandbox bench-mail claims docs lighthouse lock clean matrix fuzz drill soak chaos bench-claims
help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.venv/.run: requirements/run.txt pyproject.toml verify/pyproject.toml tools/bootstrap
	@sh tools/bootstrap
	@echo "Installing the locked dependencies (about a minute)"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e verify -e .
	@$(PY) -m compileall -q src verify
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@echo "Installing the locked test tools (about a minute)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

up: .venv/.run ## Serve on LISTEN with DATA_DIR, in the foreground; UP_ARGS= to refuse the demo its loopback.
	@exec .venv/bin/heldtrue up --data-dir $(DATA_DIR) --listen $(LISTEN) $(UP_ARGS)

demo: .venv/.run ## Run one sample company through everything, against `make up`.
	@.venv/bin/heldtrue demo --data-dir $(DATA_DIR)

test-deps: ## Install what the tests need from the system (root or sudo) and from npm.
	@sh tools/test-deps

test: .venv/.dev test-deps ## Run every test; installs what it needs; about thirteen minutes on two cores.
	@$(PY) tools/run-tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: .venv/.dev ## Lint, strict types, import contracts, dependency audit.
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/basedpyright --level error
	@.venv/bin/lint-imports
	@$(MAKE) --no-print-directory audit

audit: .venv/.dev ## Match the locked dependencies against published advisories.
	@sh tools/audit

sbom: .venv/.dev ## Write a CycloneDX bill of materials to dist/sbom.json.
	@mkdir -p dist && .venv/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --of JSON -o dist/sbom.json && echo "dist/sbom.json"

format: .venv/.dev ## Format the code.
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

bench/js/node_modules/.stamp: bench/js/package-lock.json
	@echo "Installing the npm packages of bench/js (92 MB)"
	@if command -v npm >/dev/null; then cd bench/js && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.stamp; fi

bench: .venv/.dev test-deps bench/js/node_modules/.stamp ## Measure, each beside its reference; writes bench/out/*.json and plots.
	@$(PY) -m bench

bench-edge: .venv/.dev test-deps ## Measure the edge beside nginx and a naive verifier (about seven minutes on a quiet machine).
	@$(PY) -m bench edge

bench-intake: .venv/.dev test-deps ## Measure payloads acknowledged a second, and their cost as they grow (two minutes; ROWS=5000000 for twenty).
	@$(PY) -m bench intake

bench-deliveries: .venv/.dev test-deps ## Measure deliveries, and a healthy endpoint among a hundred bad ones (about two minutes).
	@$(PY) -m bench deliveries

bench-sandbox: .venv/.dev test-deps bench/js/node_modules/.stamp ## Measure isolated executions beside bubblewrap with Python and Deno (about half a minute).
	@$(PY) -m bench sandbox

bench-mail: .venv/.dev ## Measure mail in, sealed and synced, beside a bare aiosmtpd (about a minute).
	@$(PY) -m bench mail

bench-claims: .venv/.dev ## Measure the overview beside the history behind it: 10 to 10,000 claims, a week to two years (about five minutes).
	@$(PY) -m bench claims

claims: .venv/.run ## Count the claims by state: of the running instance, or of a fresh one.
	@.venv/bin/heldtrue claims count --data-dir $(DATA_DIR)

docs: .venv/.dev ## Regenerate the worked examples of docs/spec and the pictures of docs/images.
	@$(PY) docs/spec/regenerate.py
	@$(PY) tests/browser/pictures.py docs/images

lighthouse: .venv/.dev ## Score every public page with Lighthouse: accessibility 100, performance at least 95; axe in every view.
	@EVERY_VIEW=1 $(PY) -m pytest -q tests/browser/test_pages.py -k everybody
	@$(PY) tests/browser/measure.py

lock: .venv/.run ## Resolve and pin the dependencies anew.
	@$(PIP) install uv && sh tools/lock

clean: ## Remove the environment and what tests and benchmarks wrote; never DATA_DIR.
	@rm -rf .venv bench/out bench/js/node_modules dist .hypothesis tests/interop/js/node_modules tests/interop/mail_js/node_modules tests/browser/node_modules

matrix: .venv/.dev ## Write anew who may call what (tests/http/golden/matrix.txt); read the difference before you keep it.
	@REWRITE_MATRIX=1 $(PY) -m pytest -q -p no:randomly tests/http/test_matrix.py && git --no-pager diff --stat tests/http/golden

fuzz: .venv/.dev ## Fuzz every operation of the API for long (about half an hour); SEED= for another run.
	@EXAMPLES=$${EXAMPLES:-200} SEED=$${SEED:-$$(date +%s)} $(PY) -m pytest -q tests/http/test_schemathesis.py

drill: .venv/.dev ## Kill the running product 50 times while it takes 500 payloads (about four minutes).
	@KILLS=50 PAYLOADS=500 $(PY) -m pytest -s tests/drills/test_journey_kill9.py

soak: .venv/.dev ## Kill the running product 200 times while it takes 4,000 payloads (about half an hour).
	@KILLS=200 PAYLOADS=4000 $(PY) -m pytest -s tests/drills/test_journey_kill9.py

chaos: .venv/.dev ## 50,000 payloads by HTTP and mail, anything killed, receivers failing; PAYLOADS=, KILLS=, SEED=.
	@KILLS=$${KILLS:-200} PAYLOADS=$${PAYLOADS:-50000} $(PY) -m pytest -s tests/drills/test_journey_kill9.py
