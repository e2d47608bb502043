#!/usr/bin/env bash
# `make upgrade`: writes sql/vyx--OLD--NEW.sql, then compares an upgraded installation with a fresh one and prints what differs.
source "$(dirname "$0")/common.sh"

"$DEMO/setup.sh" test
prepare_tests
"$DEMO/install.sh" "$PG_COPY" dev private
cluster_dir "$TEST/e2e"
cd "$ROOT"
export VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e
# The comparison installs the script that the first command writes.
VYX_WRITE_UPGRADE=1 cargo test --quiet -p vyx-tests -- --nocapture upgrade::the_upgrade_script_is_written
cargo test --quiet -p vyx-tests -- upgrade::an_upgraded
