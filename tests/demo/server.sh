#!/usr/bin/env bash
# Makes DIR/pg, a relocated copy of the installed PostgreSQL, and the cargo-pgrx home that knows it. Prints nothing when both are up to date.
# usage: server.sh DIR [PGRX_HOME]      (DIR exists; PGRX_HOME is DIR/pgrx unless given)
source "$(dirname "$0")/common.sh"

dir=$1 home=${2:-$1/pgrx}
from=$(system_pg_config) || die "PostgreSQL $PG_MAJOR is missing" "run 'make setup' first"
bin=$("$from" --bindir) lib=$("$from" --pkglibdir) share=$("$from" --sharedir) include=$("$from" --includedir-server)

# PostgreSQL finds its own directories relative to its program as long as they lie as they were built: below one prefix.
prefix=$bin
until [[ $lib/ == "$prefix"/* && $share/ == "$prefix"/* && $include/ == "$prefix"/* ]]; do prefix=$(dirname "$prefix"); done
[[ $prefix != / ]] || die "the directories of $from have no common prefix, so it cannot be relocated"

# An upgrade of the package, or an extension added to it, makes the copy out of date.
stamp=$("$from" --version; stat -c '%n %Y' "$bin/postgres" "$lib" "$share/extension")

if [[ ! -e $dir/pg/stamp || $(<"$dir/pg/stamp") != "$stamp" ]]; then
  say "Copying the server from $prefix to $dir/pg"
  need_room "$dir/" 200
  # New files rather than overwritten ones, so that a server running from the old copy keeps its own. The stamp comes
  # last: an interrupted copy is never taken for a server.
  rm -rf "$dir/pg"
  mkdir "$dir/pg"
  for tree in "$bin" "$lib" "$share"; do
    mkdir -p "$dir/pg${tree#"$prefix"}"
    cp -a "$tree/." "$dir/pg${tree#"$prefix"}/"
  done
  # Headers are only read, so a link will do.
  mkdir -p "$dir/pg$(dirname "${include#"$prefix"}")"
  ln -sfn "$include" "$dir/pg${include#"$prefix"}"
  printf '%s\n' "$stamp" >"$dir/pg/stamp"
fi

copy=$(cd "$dir/pg" && pwd -P)${bin#"$prefix"}/pg_config
for what in bindir sharedir pkglibdir includedir-server; do
  [[ -d $("$copy" --$what) && $("$copy" --$what) == "$(cd "$dir/pg" && pwd -P)"/* ]] ||
    die "the copied server looks for its $what in $("$copy" --$what)" "remove $dir/pg and try again; if that does not help, this build cannot be relocated"
done
ln -sfn "$copy" "$dir/pg_config"

# `--no-run`: only the file is wanted, not a cluster of cargo-pgrx's own. Untouched when right, because its time is a
# reason for cargo to compile everything that knows Postgres again.
if ! grep -qsF "\"$copy\"" "$home/config.toml"; then
  find_pgrx || die "cargo-pgrx $PGRX_VERSION is missing" "run 'make setup' first"
  mkdir -p "$home"
  PGRX_HOME=$home "${PGRX[@]}" init --no-run "--pg$PG_MAJOR" "$copy" >/dev/null
fi
