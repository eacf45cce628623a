# Everything that one does with a checkout. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run demo test check format test-corpus fuzz test-faults test-memory test-viewer test-clients openapi reference migrate lock audit sbom install clean

python := .venv/bin/python
CORPUS ?= ../shared/corpus

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Start the archive (settings: environment or .env)
	@scripts/install requirements.lock
	@exec $(python) -m app serve

demo: ## Fill the running archive with sample studies and look at them
	@scripts/install requirements.lock
	@$(python) -m app demo

# What is compiled stays, whatever the environment says: tests start many processes.
test: export PYTHONDONTWRITEBYTECODE :=
# More than a small machine has processors, since tests wait for processes and clocks; whoever has
# none left takes tests from another, so that nobody works alone at the end.
test: install ## Run every test; PYTEST="-k name" chooses
	$(python) -m pytest -n 3 --dist worksteal $(PYTEST)

check: install ## Format, lint, types, layers: what CI runs beside the tests
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy
	.venv/bin/lint-imports
	$(python) -m pytest -q tests/architecture

format: install ## Format the code and mend what the linter can
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

test-corpus: install ## Round-trip a folder of DICOM files, and look at them: CORPUS=folder
	@$(python) -m tests.corpus $(CORPUS)

test-faults: install ## Kill servers, databases and object stores N=200 times; SEED= repeats
	@$(python) -m tests.faults --runs $(or $(N),200) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

fuzz: install ## Search for input that breaks a parser: SECONDS=60 of each, ONLY=target
	@scripts/fuzz $(or $(SECONDS),60) $(ONLY)

test-memory: install ## Measure memory: 4 GB, 5,000 instances in a request, slow readers
	@$(python) -m tests.memory $(MEMORY)

test-viewer: install ## Look at images and slides in a browser; needs npm and Chromium
	@cd tests/viewer/page && npm ci --ignore-scripts --silent && npm run --silent build
	@$(python) -m tests.viewer

test-clients: install ## Read with wsidicom, dicomtrolley and dcmtk what the archive has
	@scripts/install requirements-clients.lock .venv-clients
	@$(python) -m tests.clients

openapi: install ## Write openapi/hilum.json from the code
	@$(python) -m app openapi

reference: openapi ## Write openapi/hilum.json and docs/reference from the code
	$(python) -m scripts.settings_reference > docs/reference/settings.md
	$(python) -m scripts.bad_inputs > docs/reference/bad-inputs.md

migrate: ## Bring the database to the current schema
	@scripts/install requirements.lock
	@$(python) -m app migrate

lock: ## Resolve the dependencies anew; UPGRADE=1 takes the newest
	@scripts/lock

audit: install ## Look for weak, withdrawn, unlocked or unfree dependencies; STRICT=1 wants all answers
	@scripts/install requirements-audit.lock .venv-audit
	@$(python) -m scripts.audit $(if $(STRICT),--strict)

sbom: install ## Write sbom.cdx.json: what an archive is made of, as CycloneDX
	@scripts/install requirements-audit.lock .venv-audit
	@$(python) -m scripts.sbom > sbom.cdx.json
	@.venv-audit/bin/python -m scripts.check_sbom sbom.cdx.json

install:
	@scripts/install requirements-dev.lock

clean: ## Remove the environment and the caches, never data
	rm -rf .venv .venv-audit .venv-clients .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
