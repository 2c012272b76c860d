# Everything a person or a CI job does here is one of these targets; each does its own set-up.
.DEFAULT_GOAL := help
.PHONY: help run up down status serve turn test faults check ci-local workflow-check audit sbom format lock lock-check python-there image image-check \
	compose-check compose-rehearsal monitoring-check secrets bench-backtest bench-loop bench-gate bench-platform bench-estimates bench-serving bench-health \
	bench-alerts site-check update-template fork-check clean
SHELL := /bin/bash

# The first interpreter of a supported version that really starts (a pyenv shim may be there and refuse).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
PROMTOOL ?= promtool
SCRIPTS := deploy/databases.sh deploy/decide deploy/entrypoint deploy/evergreen deploy/find-home deploy/in-image deploy/roll-out deploy/secrets deploy/state-asset \
	deploy/turn deploy/with-state
OUT ?= out
# What only the example can show, for it delivers to itself: a fork has a problem of its own in its place.
EXAMPLE := $(wildcard src/problem/feed.py)
TAG ?= evergreen:latest

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(READY) ## The whole loop on real flights (ARGS="--through 2013-12" goes on to December)
	@$(BIN)/evergreen run $(ARGS)

up: $(READY) ## Start the platform: Prefect, MLflow, and rounds by schedule, by event and by a look every few minutes
	@$(BIN)/evergreen up

down: $(READY) ## Stop the platform
	@$(BIN)/evergreen down

status: $(READY) ## What serves, what waits, and whether the platform is up and healthy
	@$(BIN)/evergreen status

serve: $(READY) ## Answer over HTTP with the champion (the contract's `online`), at http://127.0.0.1:8000/docs
	@$(BIN)/evergreen serve

test: $(READY) ## All tests
	@$(BIN)/python -m compileall -q src flows tests deploy # else each of hundreds of processes does it, where the environment forbids to keep it
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

faults: $(READY) ## Kill, stop and starve a run everywhere, for half an hour; the table is at the end (ARGS="--kills 500")
	@$(BIN)/python -m pytest tests/faults --long -n auto --maxprocesses 2 --dist worksteal $(ARGS)

check: $(READY) ## Lint, types, dependency rule, spelling
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell

ci-local: check lock-check workflow-check compose-check test $(if $(EXAMPLE),run) image-check $(if $(EXAMPLE),fork-check) ## What ci.yml runs, except what only GitHub has and what needs a browser

workflow-check: $(READY) ## Workflows and the scripts they call: syntax, known mistakes, what an attacker could use
	@$(BIN)/shellcheck $(SCRIPTS)
	@$(BIN)/actionlint -shellcheck=$(BIN)/shellcheck -pyflakes=
	@$(BIN)/zizmor --offline --quiet --persona auditor .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

# Advisories that nothing can be done about yet, each with its reason behind a #: delivery waits for all others.
ACCEPTED :=

audit: $(READY) ## Known vulnerabilities in the lock, asked of PyPI's database of advisories
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes $(addprefix --ignore-vuln ,$(ACCEPTED)) --requirement requirements.txt

sbom: $(READY) ## The bill of materials of what is locked, as CycloneDX (OUT=out)
	@mkdir -p $(OUT)
	@PYTHONWARNINGS="ignore:The Component this BOM:UserWarning" $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-format JSON --output-file $(OUT)/sbom.cdx.json requirements.txt

turn: $(READY) ## One turn of continuous training, as ct.yml takes it: fetch, a round if anything asks for it; told in OUT (OUT=out)
	@PATH="$(CURDIR)/$(BIN):$$PATH" deploy/turn $(OUT)

format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

# The lock files of a folder, compiled from pyproject.toml for the oldest Python that is supported and all newer ones, whichever runs this; what
# they pin already stays, unless uv is told otherwise.
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --quiet --custom-compile-command 'make lock'
locks = $(COMPILE) $(2) pyproject.toml -o $(1)requirements.txt && $(COMPILE) $(2) pyproject.toml --extra dev -o $(1)requirements-dev.txt && \
	printf 'hatchling\nsetuptools\nuv\n' | $(COMPILE) $(2) - --constraints $(1)requirements-dev.txt -o $(1)requirements-build.txt

lock: $(BIN)/uv ## Compile the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(call locks,,--generate-hashes $(if $(UPGRADE),--upgrade))

lock-check: $(BIN)/uv ## Whether the lock files are what pyproject.toml asks for: whoever edits one of them by hand, Dependabot too, may forget another
	@trial=$$(mktemp -d) && trap 'rm -rf "$$trial"' EXIT && cp requirements*.txt "$$trial" && $(call locks,"$$trial"/,) && \
	for name in requirements requirements-dev requirements-build; do \
		diff <(sed -n 's/ *\\$$//; /^[a-z0-9].*==/p' $$name.txt) <(sed -n '/^[a-z0-9].*==/p' "$$trial/$$name.txt") || \
			{ echo "$$name.txt (<) is not what pyproject.toml asks for (>). Run: make lock"; exit 1; }; \
	done

python-there:
	@test -n "$(PYTHON)" || { echo "Evergreen needs Python 3.11, 3.12 or 3.13, and none was found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }

image: python-there ## Build the container image (TAG=evergreen:latest; PYTHON_IMAGE=... builds it on another image of Python)
	@$(PYTHON) -m deploy.image --tag $(TAG) $(if $(PYTHON_IMAGE),--base $(PYTHON_IMAGE))

image-check: python-there ## Build the image, and run the loop and the API in it as its own account and as a stranger, on a read-only root
	@$(PYTHON) -m deploy.image --check --tag $(TAG) $(if $(PYTHON_IMAGE),--base $(PYTHON_IMAGE)) $(ARGS)

compose-check: $(READY) ## Whether Dockerfile and compose.yaml are what their specifications and the engine allow
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	@if docker compose version >/dev/null 2>&1; then docker compose --file compose.yaml config --quiet; \
		else echo "There is no docker compose here: it has not read compose.yaml."; fi

compose-rehearsal: $(READY) ## What compose.yaml says as processes of this machine, until the API answers; needs PostgreSQL and no engine
	@$(BIN)/python -m deploy.rehearsal

monitoring-check: ## Whether Prometheus takes configuration and rules, and each rule fires on its fault; needs promtool (PROMTOOL=/path)
	@command -v $(PROMTOOL) >/dev/null || { echo "There is no promtool here. It comes with Prometheus; on Debian and Ubuntu: apt install prometheus"; exit 1; }
	@$(PROMTOOL) check config deploy/monitoring/prometheus.yml
	@$(PROMTOOL) check rules deploy/monitoring/alerts.yml
	@$(PROMTOOL) test rules deploy/monitoring/tests.yml

secrets: ## Make the secrets of compose.yaml that are not there yet
	@deploy/secrets

bench-backtest: $(READY) ## The backtest of the flights' year, twice, and once more by hand (ARGS="--home var": what is there already)
	@$(BIN)/python -m benchmarks.backtest_check $(ARGS)

bench-loop: $(READY) ## What the tools cost on top of the bare computation
	@$(BIN)/python benchmarks/loop.py $(ARGS)

bench-gate: $(READY) ## How often the gate is wrong, on candidates whose truth is known
	@$(BIN)/python -m benchmarks.gate $(ARGS)

bench-health: $(READY) ## Which planted faults of the data are found, by what, how often clean data are refused or alert anybody; writes docs/health-measured.md
	@$(BIN)/python -m benchmarks.health

bench-alerts: $(READY) ## How many alerts a year without a fault tells, and how many of them are false; part of bench-health
	@$(BIN)/python -m benchmarks.alerts

bench-platform: $(READY) ## What the platform takes while nothing happens
	@$(BIN)/python -m benchmarks.platform $(ARGS)

bench-estimates: $(READY) ## What predictions are worth, estimated before and realized afterwards (ARGS="--write" writes the page)
	@$(BIN)/python -m benchmarks.estimates $(ARGS)

bench-serving: $(READY) ## Answers over HTTP beside MLflow's server, BentoML and MLServer (ARGS="--write" writes the page)
	@$(BIN)/python -m benchmarks.serving $(ARGS)

site-check: $(READY) ## The pages in Chromium or Chrome, and whether everybody can read them (HOME_FOLDER=var; BROWSER=/path; pictures in OUT/site)
	@$(BIN)/python -m deploy.site_check --out "$(OUT)/site" $(if $(HOME_FOLDER),--home "$(HOME_FOLDER)") $(if $(filter command,$(origin BROWSER)),--browser "$(BROWSER)")

update-template: ## Take a newer version of the template: TO=<tag or commit> (docs/update.md)
	@$(or $(PYTHON),python3) -m deploy.update_template --to="$(TO)" --template="$(TEMPLATE)" --from="$(FROM)"

fork-check: ## Make a fork of an earlier version with another problem, update it to HEAD, run its suite and its image (FROM=<tag>, ARGS=<tests>, PYTHON_IMAGE=... or no)
	@$(or $(PYTHON),python3) -m deploy.fork_check --from="$(FROM)" --arguments="$(ARGS)" --image="$(PYTHON_IMAGE)"

clean: ## Remove the environment and what tools cached; var/ stays
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv itself comes from the lock too, by hash, through the pip that every Python brings.
$(BIN)/uv: | python-there
	@echo "Setting up .venv with $$($(PYTHON) --version) (once, about a minute)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@awk '/^uv==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements-dev.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt

$(READY): requirements-dev.txt requirements-build.txt pyproject.toml | $(BIN)/uv
	@echo "Installing the locked packages"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --build-constraints requirements-build.txt requirements-dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@# Prefect's own tables take ten seconds to make; a private server starts from this copy.
	@PREFECT_HOME=$(CURDIR)/.venv/prefect DO_NOT_TRACK=true $(BIN)/prefect server database upgrade -y >/dev/null
	@touch $(READY)
