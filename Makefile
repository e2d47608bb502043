# What people type, and what CI runs; the work is done by the scripts of tests/demo.
.DEFAULT_GOAL := help
.PHONY: help setup run start stop status psql clean-run test check simulate readme upgrade bench install fuzz soak
# Given on the command line or in the environment: make run FEED=binance, make run SPEED=600
export FEED SPEED WATCH PROFILE PG_CONFIG SEEDS SEED FUZZ_SECONDS HOURS
demo := tests/demo

help: ## this list
	@echo "vyx: a live crypto market and its signal engine inside Postgres"; echo
	@awk -F ': ## ' '/^[a-z-]+: ## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## build, start a private cluster with example traders and watch it (FEED=sim|binance SPEED=60)
	@$(demo)/run.sh

start: ## the same cluster in the background
	@$(demo)/cluster.sh start

stop: ## stop it; the data stays
	@$(demo)/cluster.sh stop

status: ## what runs
	@$(demo)/cluster.sh status

psql: ## a psql in it
	@$(demo)/cluster.sh psql

clean-run: ## stop it and remove it, data included
	@$(demo)/cluster.sh clean

test: ## install what is missing and run every test
	@$(demo)/test.sh

check: ## format, clippy with warnings as errors, shellcheck
	@$(demo)/setup.sh test && $(demo)/check.sh

simulate: ## worlds by seed, in virtual time, faults by chance (SEEDS=1000, or one again: SEED=17)
	@$(demo)/simulate.sh

fuzz: ## made-up bytes against all that reads foreign bytes (FUZZ_SECONDS=60 a target; needs a nightly compiler)
	@$(demo)/fuzz.sh

readme: ## write the lists of functions, templates and rights in README.md anew (the last from a private server)
	@VYX_WRITE_README=1 cargo test --quiet --package vyx-engine --test readme
	@VYX_WRITE_README=1 cargo test --quiet --package vyx-compiler --test main templates::readme
	@$(demo)/setup.sh && $(demo)/rights.sh

upgrade: ## write the upgrade script anew from the install scripts of both versions, and compare what comes of it
	@$(demo)/upgrade.sh

bench: ## measure, print ratios and write them to .vyx/bench.txt
	@$(demo)/bench.sh

soak: ## days of a faulty market in minutes: does anything grow? (HOURS=72 of market time)
	@$(demo)/soak.sh

install: ## build and install into the system's Postgres (the only target that touches it)
	@$(demo)/setup.sh && $(demo)/install.sh

setup: ## install only what building needs
	@$(demo)/setup.sh
