#!/usr/bin/env bash
# `make test`: every test there is, the fast ones first. What is missing is installed before.
# usage: test.sh           (environment: PROFILE=dev|release)
source "$(dirname "$0")/common.sh"

PROFILE=${PROFILE:-dev}
"$DEMO/setup.sh" test
prepare_tests
find_pgrx
cd "$ROOT"

# Whatever way this ends, no test server stays behind.
stop_servers() {
  local pidfile
  for pidfile in "$TEST"/data/*/postmaster.pid; do
    [[ ! -e $pidfile ]] || as_cluster "$BIN/pg_ctl" stop --pgdata "$(dirname "$pidfile")" --mode immediate --silent || true
  done
}
trap stop_servers EXIT
trap 'exit 130' INT TERM HUP

times=()
step() {
  local name=$1 from=$SECONDS
  shift
  say "$name"
  "$@" || die "$name: failed after $((SECONDS - from)) s" "again, alone: $*"
  times+=("$(printf '%5d s  %s' $((SECONDS - from)) "$name")")
}

pure_tests() { cargo test --profile "$PROFILE" -p vyx-core -p vyx-feed -p vyx-ingest -p vyx-engine -p vyx-compiler -p vyx-sim; }

# A target directory of its own: other flags would have cargo build everything else again.
loom_models() { RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$TARGET/loom cargo test -p vyx-core --lib --release loom; }

# The ring under the address and the thread sanitizer, which need a nightly compiler. Each has a target directory of its
# own; the suppressions name what the unsanitized standard library does in its test runner.
sanitizers() {
  if ! cargo +nightly --version >/dev/null 2>&1; then
    note "skipped: there is no nightly compiler here"
    return
  fi
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  RUSTFLAGS=-Zsanitizer=address RUSTDOCFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$TARGET/asan \
    cargo +nightly test -p vyx-core --target "$host"
  TSAN_OPTIONS="suppressions=$ROOT/src/vyx-core/tests/tsan-suppressions.txt" CARGO_TARGET_DIR=$TARGET/tsan \
    RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
    cargo +nightly test -p vyx-core --target "$host" --lib --tests -- --test-threads=1
}

# The server's socket lies beside its data, and a socket's path is short or does not work.
in_database() {
  local data=$TEST/data as=()
  rm -rf "$data"
  cluster_dir "$data"
  # cargo-pgrx installs the library only; the compiler belongs beside it before the server starts.
  cargo build --profile "$PROFILE" -p vyx-compiler
  install -m 755 "$TARGET/${PROFILE/dev/debug}/vyx-compiler" "$("$PG_COPY" --pkglibdir)/vyx-compiler"
  ! is_root || as=(--runas "$(cluster_user)")
  "${PGRX[@]}" test "pg$PG_MAJOR" -p vyx --profile "$PROFILE" --pgdata "$data" "${as[@]}"
}

end_to_end() {
  "$DEMO/install.sh" "$PG_COPY" "$PROFILE" private
  "$DEMO/spot.sh" "$PG_COPY"
  cluster_dir "$TEST/e2e"
  # They wait for a market more than they compute; how many servers run at once is the tests' own business.
  VYX_PG_CONFIG=$PG_COPY VYX_BIN=$BIN VYX_RUN=$TEST/e2e cargo test --profile "$PROFILE" -p vyx-tests -- --test-threads=4
}

step 'check: format, clippy, shellcheck' "$DEMO/check.sh"
step 'pure crates' pure_tests
step 'models of the ring (loom)' loom_models
step 'the ring under the sanitizers' sanitizers
step 'in the database (cargo pgrx test)' in_database
step 'end to end: a real cluster and the simulator' end_to_end

say "All of it passed"
printf '%s\n' "${times[@]}"
note "vyx is in good shape."
