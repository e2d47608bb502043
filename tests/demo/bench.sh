#!/usr/bin/env bash
# `make bench`: the measurements, in release mode and against a cluster of their own; ratios go to the terminal and to a file.
source "$(dirname "$0")/common.sh"

"$DEMO/setup.sh"
prepare_tests
"$DEMO/install.sh" "$PG_COPY" release private
cluster_dir "$TEST/e2e"

report=$VYX/bench.txt
cd "$ROOT"
{
  echo "vyx $(git rev-parse --short HEAD 2>/dev/null || true), $(nproc) processors, $(date -u +%F)"
  cargo bench -p vyx-core -p vyx-feed -p vyx-engine
  VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e cargo bench -p vyx-tests
} 2>&1 | tee "$report"
note "this report: $report"
