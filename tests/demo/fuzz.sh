#!/usr/bin/env bash
# `make fuzz`: foreign bytes, made up by libFuzzer, against everything that reads foreign bytes. The corpora in the
# repository are where it begins; what it adds stays in the cache, and is where the next run goes on.
# usage: fuzz.sh [target...]           (environment: FUZZ_SECONDS, for each target)
source "$(dirname "$0")/common.sh"

FUZZ_SECONDS=${FUZZ_SECONDS:-60}
FUZZ_VERSION=0.13.2

if ! cargo +nightly --version >/dev/null 2>&1; then
  say "Fuzzing is skipped: there is no nightly compiler here"
  note "rustup toolchain install nightly --profile minimal"
  note "'make test' replays what was found before, with any compiler"
  exit 0
fi
command -v c++ >/dev/null || "$DEMO/setup.sh"

cargo_fuzz=$CACHE/tools/bin/cargo-fuzz
if [[ $("$cargo_fuzz" --version 2>/dev/null) != "cargo-fuzz $FUZZ_VERSION" ]]; then
  say "Installing cargo-fuzz $FUZZ_VERSION into $CACHE/tools (a minute, once)"
  cargo install cargo-fuzz --version "=$FUZZ_VERSION" --locked --force --root "$CACHE/tools"
fi
export RUSTUP_TOOLCHAIN=nightly
crate=tests/fuzz
cd "$ROOT"

targets=("$@")
((${#targets[@]} > 0)) || mapfile -t targets < <("$cargo_fuzz" list --fuzz-dir "$crate")
say "Building ${targets[*]}"
"$cargo_fuzz" build --fuzz-dir "$crate" --target-dir "$TARGET/fuzz"

failed=()
for target in "${targets[@]}"; do
  say "$target, $FUZZ_SECONDS s"
  found=$CACHE/fuzz/$target log=$CACHE/fuzz/$target.log
  mkdir -p "$found"
  # No single allocation above 64 MB, no input longer than it takes to be odd. New inputs go to the first directory.
  if "$cargo_fuzz" run --fuzz-dir "$crate" --target-dir "$TARGET/fuzz" "$target" "$found" "$crate/corpus/$target" -- \
    -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 -max_len=16384 >"$log" 2>&1; then
    note "$(grep -a '^Done ' "$log" || true)"
    continue
  fi
  failed+=("$target")
  tail -n 40 "$log"
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  [[ -z $input ]] || note "again, alone: RUSTUP_TOOLCHAIN=nightly $cargo_fuzz run --fuzz-dir $crate --target-dir $TARGET/fuzz $target $input"
done
((${#failed[@]} == 0)) || die "bytes were found that break: ${failed[*]}" "when that is mended, put them into $crate/corpus/TARGET"
say "Nothing was found"
