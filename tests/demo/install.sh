#!/usr/bin/env bash
# Builds vyx and installs all of it: the extension, and the compiler program beside its library. A private copy gets the simulator too.
# usage: install.sh [PG_CONFIG PROFILE private]      (PROFILE: dev or release; without arguments: into the system's Postgres)
source "$(dirname "$0")/common.sh"

pg_config=${1:-$(system_pg_config)} profile=${2:-release} private=${3:-}
if [[ -z ${PGRX_HOME:-} ]]; then
  reachable VYX
  "$DEMO/server.sh" "$VYX"
  export PGRX_HOME=$VYX/pgrx
fi
find_pgrx || die "cargo-pgrx $PGRX_VERSION is missing" "run 'make setup' first"
programs=(vyx-compiler)
[[ -z $private ]] || programs+=(vyx-sim)
cd "$ROOT"
mkdir -p "$TARGET"
need_room "$TARGET" 2000

say "Building vyx ($profile)"
cargo build --profile "$profile" "${programs[@]/#/--package=}"
built=$TARGET/$profile
[[ $profile != dev ]] || built=$TARGET/debug

# Writing below /usr takes root's rights; compiling never does.
pgrx_sudo=() rights=()
if [[ ! -w $("$pg_config" --pkglibdir) ]]; then
  pgrx_sudo=(--sudo) rights=(as_root)
fi

# A new file renamed over the old one: a program that runs is not changed under its feet.
put() {
  "${rights[@]}" install -m 755 "$1" "$2.new"
  "${rights[@]}" mv -f "$2.new" "$2"
}
# cargo-pgrx writes over the library in place, which would kill a server that runs it: that server keeps its own file.
library=$("$pg_config" --pkglibdir)/vyx.so
if [[ -e $library ]]; then
  "${rights[@]}" cp -p "$library" "$library.new"
  "${rights[@]}" mv -f "$library.new" "$library"
fi
"${PGRX[@]}" install --package vyx --profile "$profile" --pg-config "$pg_config" "${pgrx_sudo[@]}"
put "$built/vyx-compiler" "$("$pg_config" --pkglibdir)/vyx-compiler"
[[ ! $private ]] || put "$built/vyx-sim" "$("$pg_config" --bindir)/vyx-sim"
[[ $private ]] || note "installed; now set shared_preload_libraries = 'pg_cron,vyx', restart Postgres, and run: CREATE EXTENSION vyx"
