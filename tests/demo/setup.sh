#!/usr/bin/env bash
# Installs what is missing for building and running vyx: Debian packages and the pinned cargo-pgrx. Nothing missing, nothing said.
# usage: setup.sh [test]      (test: also what only the tests need)
source "$(dirname "$0")/common.sh"

packages=(libclang-dev clang pkg-config build-essential)
[[ -n ${PG_CONFIG:-} ]] || packages+=("postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" "postgresql-$PG_MAJOR-cron")
if [[ ${1:-} == test ]]; then
  [[ -n ${PG_CONFIG:-} ]] || packages+=("postgresql-$PG_MAJOR-wal2json")
  # cargo-pgrx becomes the user postgres by sudo, also when it is root.
  ! is_root || packages+=(sudo)
  packages+=(python3 python3-venv shellcheck)
fi

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

# Debian's package would create and start a cluster of its own. Its own switch for that is a file in createcluster.d,
# which lies there only while apt runs; a cluster that exists already is not touched by either.
install_packages() {
  local switch=/etc/postgresql-common/createcluster.d/vyx-no-cluster.conf
  say "Installing Debian packages that are missing: $*"
  as_root apt-get update -qq || note "some package lists could not be read; going on with what is there"
  if [[ " $* " == *" postgresql-$PG_MAJOR "* ]]; then
    apt-cache show "postgresql-$PG_MAJOR" >/dev/null 2>&1 ||
      die "this distribution has no PostgreSQL $PG_MAJOR" "add the packages of https://apt.postgresql.org, or set PG_CONFIG to the pg_config of an installed one"
    note "no system cluster is created: $switch says so until apt is done"
    as_root mkdir -p "$(dirname "$switch")"
    # shellcheck disable=SC2064  # the path is known now, and the trap outlives this function
    trap "as_root rm -f '$switch'" EXIT
    as_root sh -c "echo 'create_main_cluster = false' >$switch"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
  [[ ! -e $switch ]] || as_root rm -f "$switch"
  trap - EXIT
}

if command -v apt-get >/dev/null; then
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
fi

command -v cargo >/dev/null || die "cargo is missing" "install Rust 1.95 or newer from https://rustup.rs and run this again"
pg_config=$(system_pg_config) || die "PostgreSQL $PG_MAJOR is missing (the server and its development files)" \
  "Debian and Ubuntu: postgresql-$PG_MAJOR, postgresql-server-dev-$PG_MAJOR and postgresql-$PG_MAJOR-cron are installed by this command" \
  "elsewhere: install them with pg_cron, clang and libclang, and set PG_CONFIG to its pg_config"
[[ -e $("$pg_config" --includedir-server)/postgres.h ]] || die "the development files of PostgreSQL $PG_MAJOR are missing" \
  "$("$pg_config" --includedir-server)/postgres.h should exist; packages call them postgresql-server-dev or postgresql-devel"
[[ -e $("$pg_config" --sharedir)/extension/pg_cron.control ]] || die "pg_cron is missing in PostgreSQL $PG_MAJOR" \
  "it is postgresql-$PG_MAJOR-cron on Debian, and https://github.com/citusdata/pg_cron elsewhere"

if ! find_pgrx; then
  say "Installing cargo-pgrx $PGRX_VERSION into $CACHE/tools (a few minutes, once)"
  note "a cargo-pgrx of your own stays as it is"
  cargo install cargo-pgrx --version "=$PGRX_VERSION" --locked --root "$CACHE/tools"
fi

# The checker of installation and upgrade scripts, in an environment of its own. The version is part of the path, so that
# another one is installed beside it.
if [[ ${1:-} == test && ! -e $PGSPOT/ready ]]; then
  say "Installing pgspot $PGSPOT_VERSION into $PGSPOT"
  rm -rf "$PGSPOT"
  python3 -m venv "$PGSPOT"
  "$PGSPOT/bin/pip" --quiet --disable-pip-version-check install "pgspot==$PGSPOT_VERSION" "pglast==$PGLAST_VERSION"
  touch "$PGSPOT/ready"
fi

# Prometheus scrapes in a test. Its two programs are all that is wanted: the package would run a service.
prometheus=$CACHE/tools/prometheus
if [[ ${1:-} == test && ! -x $prometheus/promtool ]] && ! command -v promtool >/dev/null && command -v apt-get >/dev/null; then
  say "Fetching Prometheus into $prometheus (20 MB, once)"
  work=$(mktemp -d)
  (cd "$work" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb package) ||
    die "Prometheus could not be fetched" "install prometheus and promtool in any way, so that they are in PATH"
  mkdir -p "$prometheus"
  install -m 755 "$work"/package/usr/bin/{prometheus,promtool} "$prometheus/"
  rm -rf "$work"
fi
