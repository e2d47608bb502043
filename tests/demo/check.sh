#!/usr/bin/env bash
# `make check`: format, clippy with warnings as errors, and shellcheck where it is installed.
source "$(dirname "$0")/common.sh"

prepare_tests
cd "$ROOT"
cargo fmt --all --check
cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
cargo clippy --workspace --all-targets -- -D warnings
if command -v shellcheck >/dev/null; then
  shellcheck -x -P tests/demo tests/demo/*.sh .ci/run
else
  note "shellcheck is not installed: the shell scripts were not checked"
fi
