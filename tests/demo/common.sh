# Sourced by every script here: where things are, how they are said, and as whom the server runs.
# shellcheck shell=bash disable=SC2034  # what is set here is used where it is sourced

set -euo pipefail
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
DEMO=$ROOT/tests/demo
VYX=$(readlink -m "$ROOT/.vyx")
PG_MAJOR=15
PGRX_VERSION=0.18.1
# What looks for holes in SQL scripts, and the parser it was tried with.
PGSPOT_VERSION=0.9.4
PGLAST_VERSION=7.21
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vyx
PGSPOT=$CACHE/tools/pgspot-$PGSPOT_VERSION
export USER=${USER:-$(id -un)}

# A fresh checkout in CI keeps what was compiled before.
[[ ${CI:-} != true ]] || export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
  printf '\nvyx: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '     %s\n' "$@" >&2
  exit 1
}

is_root() { ((EUID == 0)); }

# A postmaster refuses to be root, so root's clusters belong to `postgres`.
cluster_user() { if is_root; then echo "${VYX_USER:-postgres}"; else id -un; fi; }

# Runs a command as the cluster's user. setpriv needs no PAM and leaves no process in between, unlike su and sudo. From
# the root directory, because the current one may be closed to that user.
as_cluster() {
  local user
  user=$(cluster_user)
  if ! is_root; then
    # With backtraces on, each cancelled statement would carry one.
    env -u RUST_BACKTRACE "$@"
  elif command -v setpriv >/dev/null; then
    (cd / && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --reset-env -- "$@")
  else
    (cd / && exec runuser -u "$user" -- "$@")
  fi
}

# Runs a command with root's rights; says what it is going to do first.
as_root() {
  note "$*"
  if is_root; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root's rights and there is no sudo here" "as root, run: $*"
  fi
}

# Makes the directory named by the variable $1, or, where the cluster's user cannot get there (a checkout under /root),
# a link to one that it can reach, which the variable then names. /var/lib rather than /var/tmp: nothing cleans it and
# nobody else can write there.
reachable() {
  local -n dir=$1
  local parent elsewhere
  parent=$(dirname "$dir")
  mkdir -p "$parent" || die "cannot write to $parent"
  if [[ -e $dir ]]; then
    [[ -O $dir ]] || die "$dir belongs to $(stat -c %U "$dir"), you are $(id -un)" "run this as $(stat -c %U "$dir"), or remove what is there with 'make clean-run' as that user"
    as_cluster test -x "$dir" || die "the user $(cluster_user) cannot reach $dir" "it was made when the checkout lay elsewhere: 'make clean-run' removes it, data included"
  elif as_cluster test -x "$parent"; then
    mkdir "$dir" || die "cannot write to $parent"
  else
    elsewhere=/var/lib/vyx/$(printf %s "$dir" | cksum | cut -d' ' -f1)
    note "the user $(cluster_user) cannot reach $dir: it becomes a link to $elsewhere"
    mkdir -p "$elsewhere"
    ln -sfn "$elsewhere" "$dir"
    dir=$elsewhere
  fi
}

# Stops with clear words while there is still room to stop with: a full disk fails in stranger places.
need_room() {
  local dir=$1 megabytes=$2 free
  free=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
  ((free >= megabytes)) || die "the disk of $dir has $free MB left and this step needs $megabytes MB" "make room there and run the same command again: it goes on where it stopped"
}

# Prints the pg_config of the PostgreSQL that is copied: PG_CONFIG, else Debian's, else the one in PATH.
system_pg_config() {
  local found=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
  [[ -x $found || -n ${PG_CONFIG:-} ]] || found=$(command -v pg_config || true)
  [[ -n $found && -x $found && $("$found" --version) == "PostgreSQL $PG_MAJOR."* ]] || return 1
  echo "$found"
}

# Sets PGRX to the command of the pinned cargo-pgrx, or fails. It is called by its path: cargo itself would prefer
# another version in ~/.cargo/bin.
find_pgrx() {
  if [[ $(cargo pgrx --version 2>/dev/null) == "cargo-pgrx $PGRX_VERSION" ]]; then
    PGRX=(cargo pgrx)
  elif [[ $("$CACHE/tools/bin/cargo-pgrx" pgrx --version 2>/dev/null) == *"$PGRX_VERSION" ]]; then
    PGRX=("$CACHE/tools/bin/cargo-pgrx" pgrx)
  else
    return 1
  fi
}

# Makes the server copy of the tests and sets TEST, PG_COPY, BIN and PGRX_HOME. It is not the copy of the demo, so that
# neither disturbs the other. In CI it has the same path for every checkout, and the cargo-pgrx home lies beside the
# built crates: cargo compiles everything that knows Postgres again when that home is a newer one.
prepare_tests() {
  reachable VYX
  TEST=$VYX/test
  export PGRX_HOME=$TEST/pgrx
  if [[ ${CI:-} == true ]]; then
    mkdir -p "$CACHE"
    TEST=$(readlink -m "$CACHE/test")
    export PGRX_HOME=$CACHE/pgrx
  fi
  reachable TEST
  "$DEMO/server.sh" "$TEST" "$PGRX_HOME"
  PG_COPY=$(readlink -f "$TEST/pg_config")
  BIN=$(dirname "$PG_COPY")
}

# Makes a directory that belongs to the user whom the servers run as.
cluster_dir() {
  mkdir -p "$1"
  ! is_root || chown "$(cluster_user)" "$1"
}
