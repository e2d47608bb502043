#!/usr/bin/env bash
# `make simulate`: plays worlds of feed, store and simulated exchange in virtual time; a seed that fails is printed.
# usage: simulate.sh       (environment: SEEDS=1000, or SEED=17 to see one again)
source "$(dirname "$0")/common.sh"

cd "$ROOT"
[[ -n ${SEED:-} ]] || export SEEDS=${SEEDS:-1000}
[[ -n ${SEED:-} ]] || unset SEED
# With backtraces on, each world that fails would carry one.
exec env -u RUST_BACKTRACE cargo test --release --package vyx-ingest --test simulate -- --nocapture
