# Few verbs. Each makes what it needs first: .venv, once, and again when pyproject.toml or constraints.txt change.
#   make demo           a mesh of thirteen processes works through twelve tickets, and goes down again
#   make up             the same mesh, until Ctrl-C
#   make test           the tests, in two processes; with ARGS=tests/unit, or any others of pytest's, in one
#   make check          ruff, its formatter, mypy --strict
#   make clients        A2A clients of other frameworks, as they come, talk to our server: which can do what; ARGS='--only ag2'
#   make evals          real tickets through the mesh: TICKETS=tickets.jsonl SHOP=shop.json HANDBOOK=handbook.md
#   make complete       is each of those tickets told completely, in spans and rows? the same three files; ARGS='--verbose'
#   make attacks        an agent of the shop is compromised: generated attacks, judged by the shop's journal; ATTACKS=500
#   make chaos          kill -9 at random moments, under load: KILLS=30 STORE=sqlite (or postgres)
#   make incident       a tool goes from 200 ms to 45 s under 300 workflows at once; WORKFLOWS=300 WAVES=3 PLOT=incident.svg
#   make runaway        agents that spin, block, fork, eat memory: killed in time, alone? RUNAWAYS=100 of each kind
#   make storm          a tool server fails all or half of the calls: what retries add to its load; ARGS='--calls 1000'
#   make wasted         how long agents still work for a caller that has given up, ours and the stock SDK's; ARGS='--trials N'
#   make gateway        a LiteLLM proxy, installed beside the rest, with docs/gateway in front of a scripted model: what it stops
#   make bench          what a start costs, and a hop
#   make bench-hop      the hop alone; ARGS='--only NAME'
#   make bench-tracing  what rows and spans add to a mesh's own CPU for each workflow; ARGS='--rounds N'
#   make bench-parked   RUNS=10000 runs that wait for a person: what they cost, and that all go on
#   make bench-audit    what the audit log costs: appends by 8 writers, entries verified in a second; ARGS='--only sqlite'
#   make bench-console  RUNS=10000 in the database: how long each page of the console takes
#   make clean          removes the virtual environments that these have made
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
GATEWAY := .venv-gateway
ARGS ?=
ATTACKS ?= 500
KILLS ?= 30
RUNS ?= 10000
RUNAWAYS ?= 100
WORKFLOWS ?= 300
WAVES ?= 3
PLOT ?= incident.svg
STORE ?= sqlite
BROWSERS ?= chromium chromium-browser google-chrome google-chrome-stable chrome

.DEFAULT_GOAL := help
.PHONY: help demo up test browser check bench bench-hop bench-tracing bench-parked bench-audit bench-console chaos incident storm wasted runaway gateway clients attacks complete evals three-files clean

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/mesh.installed
	@$(BIN)/meshwright demo $(ARGS)

up: $(VENV)/mesh.installed
	@$(BIN)/meshwright up $(ARGS)

test: $(VENV)/dev.installed browser
	@$(BIN)/python tests/halves.py $(ARGS)

# The browser tests take the system's Chromium. CI gets one; elsewhere they say that they are skipped, and why.
browser:
	@for each in $(BROWSERS); do command -v $$each >/dev/null && exit 0; done; \
	[ -n "$$CI" ] && [ "$$(id -u)" = 0 ] || exit 0; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	  echo "Chromium cannot be installed here: the browser tests are skipped" >&2

check: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.start
	@$(BIN)/python -m benchmarks.hop $(ARGS)

bench-hop: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.hop $(ARGS)

bench-tracing: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.tracing $(ARGS)

bench-parked: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.parked --runs $(RUNS) $(ARGS)

bench-audit: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.audit $(ARGS)

bench-console: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.console --runs $(RUNS) $(ARGS)

chaos: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.chaos --kills $(KILLS) --store $(STORE) $(ARGS)

incident: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.incident --workflows $(WORKFLOWS) --waves $(WAVES) --plot $(PLOT) $(ARGS)

storm: $(VENV)/mesh.installed
	@$(BIN)/python -m benchmarks.storm $(ARGS)

wasted: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.wasted $(ARGS)

runaway: $(VENV)/bench.installed
	@$(BIN)/python -m benchmarks.runaway --runs $(RUNAWAYS) $(ARGS)

gateway: $(VENV)/dev.installed $(GATEWAY)/installed
	@$(BIN)/python -W ignore -m benchmarks.gateway $(ARGS)

clients: $(VENV)/dev.installed
	@$(BIN)/python -m benchmarks.clients $(ARGS)

attacks: $(VENV)/mesh.installed
	@$(BIN)/python -m evals.siege --attacks $(ATTACKS) $(ARGS)

evals: three-files $(VENV)/mesh.installed
	@$(BIN)/python -m evals --tickets "$(TICKETS)" --shop "$(SHOP)" --handbook "$(HANDBOOK)" $(ARGS)

complete: three-files $(VENV)/bench.installed
	@$(BIN)/python -m evals.complete --tickets "$(TICKETS)" --shop "$(SHOP)" --handbook "$(HANDBOOK)" $(ARGS)

three-files:
	@[ -n "$(TICKETS)" ] && [ -n "$(SHOP)" ] && [ -n "$(HANDBOOK)" ] || \
	  { echo "it needs three files: TICKETS=tickets.jsonl SHOP=shop.json HANDBOOK=handbook.md" >&2; exit 2; }

clean:
	rm -rf $(VENV) $(GATEWAY) .venv-clients

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Meshwright needs Python 3.11 or newer; '$(PYTHON)' is not: name one with make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	  exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/mesh.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the mesh into $(VENV)"
	@$(INSTALL) --editable '.[mesh]'
	@touch $@

$(VENV)/bench.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the mesh and what it is measured against into $(VENV)"
	@$(INSTALL) --editable '.[mesh,bench]'
	@touch $@ $(VENV)/mesh.installed

$(VENV)/dev.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the mesh and its tools for developers into $(VENV)"
	@$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/mesh.installed

# The proxy wants other versions than the mesh, and is large: it gets a place of its own, and nothing of ours.
$(GATEWAY)/installed: docs/gateway/requirements.txt
	@echo "installing the LiteLLM proxy into $(GATEWAY): about 740 MB"
	@$(PYTHON) -m venv --clear $(GATEWAY)
	@$(GATEWAY)/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/gateway/requirements.txt
	@touch $@
