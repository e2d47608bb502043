#!/usr/bin/env bash
# The last part of `make readme`: writes the tables of rights in README.md from the catalog of a fresh installation.
# usage: rights.sh
source "$(dirname "$0")/common.sh"

prepare_tests
"$DEMO/install.sh" "$PG_COPY" dev private
cluster_dir "$TEST/e2e"
cd "$ROOT"
export VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e VYX_WRITE_README=1
cargo test --quiet --package vyx-tests --test e2e -- grants::
