#!/usr/bin/env bash
# `make soak`: days of market time with faults, in minutes, against a cluster of their own; fails if anything grows.
# usage: soak.sh       (environment: HOURS=72 of market time, SPEED: how many times faster than the clock, PROFILE=release)
source "$(dirname "$0")/common.sh"

HOURS=${HOURS:-72} PROFILE=${PROFILE:-release}
[[ $HOURS =~ ^[0-9]+$ && $HOURS -gt 0 ]] || die "HOURS is '$HOURS'" "it is how many hours of market time the run stands for: 72, ..."
# 72 hours in eight minutes; more take no longer, fewer are over sooner.
usual=540
if [[ -z ${SPEED:-} ]]; then
  SPEED=$((HOURS * 60 / 8))
  ((SPEED >= usual)) || SPEED=$usual
fi
[[ $SPEED =~ ^[0-9]+$ && $SPEED -gt 0 ]] || die "SPEED is '$SPEED'" "it is how many times faster than the clock the market runs: 540, ..."

"$DEMO/setup.sh"
prepare_tests
"$DEMO/install.sh" "$PG_COPY" "$PROFILE" private
cluster_dir "$TEST/e2e"

say "Building the soak"
cd "$ROOT"
export VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e VYX_SOAK_HOURS=$HOURS VYX_SOAK_SPEED=$SPEED
cargo bench --quiet --profile "$PROFILE" --package vyx-tests --bench soak --no-run
report=$VYX/soak.txt
{
  echo "vyx $(git rev-parse --short HEAD 2>/dev/null || true), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
  cargo bench --quiet --profile "$PROFILE" --package vyx-tests --bench soak
} 2>&1 | tee "$report"
note "this report: $report"
