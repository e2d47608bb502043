#!/usr/bin/env bash
# `make bench`: the measurements, in release mode and against a cluster of their own; ratios go to the terminal and to a file.
source "$(dirname "$0")/common.sh"

"$DEMO/setup.sh"
prepare_tests
"$DEMO/install.sh" "$PG_COPY" release private
cluster_dir "$TEST/e2e"

report=$VYX/bench.txt
benches=(vyx-core:ring vyx-feed:wire vyx-feed:ingest vyx-engine:evaluate vyx-tests:sql vyx-tests:ingest)
export VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e
cd "$ROOT"
say "Building the benchmarks"
for bench in "${benches[@]}"; do
  cargo bench --quiet --package "${bench%:*}" --bench "${bench#*:}" --no-run
done
{
  echo "vyx $(git rev-parse --short HEAD 2>/dev/null || true), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
  for bench in "${benches[@]}"; do
    printf '\n%s\n' "$bench"
    # Without criterion's lines on what it is about to do.
    cargo bench --quiet --package "${bench%:*}" --bench "${bench#*:}" -- --quiet 2>&1 | grep -v '^Benchmarking'
  done
} 2>&1 | tee "$report"
note "this report: $report"
