#!/usr/bin/env bash
# `make bench`: the measurements, in release mode and against a cluster of their own; ratios go to the terminal and to a file.
source "$(dirname "$0")/common.sh"

"$DEMO/setup.sh"
prepare_tests
"$DEMO/install.sh" "$PG_COPY" release private
cluster_dir "$TEST/e2e"

report=$VYX/bench.txt
benches=(vyx-core:ring vyx-feed:wire vyx-feed:ingest vyx-engine:evaluate vyx-compiler:rhai vyx-tests:traders vyx-tests:signals vyx-tests:sql vyx-tests:ingest vyx-tests:delivery)
export VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e

# What the engine is compared with, in a virtual environment of its own. Where it cannot be made, that part is skipped.
python=$VYX/bench-python
if [[ ! -e $python/ready ]]; then
  say "Installing numpy, pandas and TA-Lib into $python"
  if python3 -m venv "$python" && "$python/bin/pip" --quiet --disable-pip-version-check install 'TA-Lib==0.8.*' numpy pandas; then
    touch "$python/ready"
  else
    note "SKIPPED: the references in Python (it needs python3, its venv module and PyPI)"
  fi
fi
[[ ! -e $python/ready ]] || export VYX_BENCH_PYTHON=$python/bin/python

# Measurements of one thread stay on one processor, as do their references; the server's have several processes.
pinned=()
! command -v taskset >/dev/null || pinned=(taskset --cpu-list "$(taskset --cpu-list --pid $$ | sed 's/.*[ ,-]//')")
one_core=' vyx-engine:evaluate vyx-compiler:rhai '

cd "$ROOT"
say "Building the benchmarks"
for bench in "${benches[@]}"; do
  cargo bench --quiet --package "${bench%:*}" --bench "${bench#*:}" --no-run
done
{
  echo "vyx $(git rev-parse --short HEAD 2>/dev/null || true), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
  for bench in "${benches[@]}"; do
    printf '\n%s\n' "$bench"
    pin=()
    [[ $one_core != *" $bench "* ]] || pin=("${pinned[@]}")
    # Without criterion's lines on what it is about to do.
    "${pin[@]}" cargo bench --quiet --package "${bench%:*}" --bench "${bench#*:}" -- --quiet 2>&1 | grep -v '^Benchmarking'
  done
} 2>&1 | tee "$report"
note "this report: $report"
