#!/usr/bin/env bash
# The private cluster in the background: build, create, start, stop, look at.
# usage: cluster.sh start|stop|status|psql|clean       (environment: FEED=sim|binance, SPEED=60)
source "$(dirname "$0")/common.sh"

FEED=${FEED:-sim}
SPEED=${SPEED:-60}
[[ $FEED == sim || $FEED == binance ]] || die "FEED is '$FEED'" "use FEED=sim (a simulated market) or FEED=binance"
[[ $SPEED =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "SPEED is '$SPEED'" "it is how many times faster than the clock the simulated market runs: 1, 60, ..."

# Two feeds, two clusters: their market times have nothing to do with each other.
use_feed() {
  RUN=$VYX/run/$1
  DATA=$RUN/data
}
use_feed "$FEED"
source "$DEMO/sim.sh"
source "$DEMO/postgres.sh"

# One at a time; what starts in the background must not inherit the lock (9>&-).
lock() {
  exec 9>"$VYX/lock"
  flock -n 9 || { note "waiting for another make in this checkout"; flock 9; }
}

build() {
  "$DEMO/setup.sh"
  reachable VYX
  lock
  "$DEMO/server.sh" "$VYX" 9>&-
  PG_COPY=$(readlink -f "$VYX/pg_config")
  BIN=$(dirname "$PG_COPY")
  PGRX_HOME=$VYX/pgrx "$DEMO/install.sh" "$PG_COPY" release private 9>&-
}

# What a running server has loaded, by content, since every build writes the files anew: another one needs another start.
installed() { cat "$("$PG_COPY" --pkglibdir)"/{vyx.so,vyx-compiler} "$BIN/postgres" | cksum; }
sql_installed() { cat "$("$PG_COPY" --sharedir)"/extension/vyx--*.sql | cksum; }

write_env() {
  cat >"$VYX/env" <<ENV
# Sourced by scripts that want the private cluster: . .vyx/env
export PGHOST='$(cat "$RUN/socket")' PGPORT=$(cat "$RUN/port") PGUSER=postgres PGDATABASE=vyx
export PATH='$BIN':"\$PATH"
export VYX_FEED=$FEED VYX_SIM_PORT=$(cat "$RUN/sim.port" 2>/dev/null || true)
ENV
}

start() {
  local other
  build
  for other in sim binance; do
    [[ $other == "$FEED" ]] || stop_feed "$other"
  done
  use_feed "$FEED"
  make_cluster
  # A start that fails leaves nothing behind.
  trap 'pg_running || sim_stop' EXIT
  [[ $FEED != sim ]] || sim_start
  write_settings
  if pg_running && [[ $(cat "$RUN/installed" 2>/dev/null) != "$(installed)" ]]; then
    say "Restarting the server: what was installed is not what it runs"
    pg_stop
  fi
  if pg_running; then pg_reload; else pg_start; fi
  installed >"$RUN/installed"
  write_env
  make_database
}

# Stops the cluster of feed $1, and its simulator last, so that the feed does not report a lost exchange on the way.
stop_feed() {
  use_feed "$1"
  ! pg_running || { say "Stopping the cluster ($1)"; pg_stop; }
  sim_stop
}

stop() {
  stop_feed sim
  stop_feed binance
}

status() {
  local feed any=''
  for feed in sim binance; do
    use_feed "$feed"
    ! sim_running || note "simulator      running, pid $(<"$RUN/sim.pid"), port $(<"$RUN/sim.port"), speed $(<"$RUN/sim.speed")"
    if pg_running; then
      any=1
      note "cluster        $feed, running, pid $(head -n 1 "$DATA/postmaster.pid"), port $(<"$RUN/port"), data in $DATA"
    elif [[ -d $DATA ]]; then
      note "cluster        $feed, stopped, data in $DATA"
    fi
  done
  [[ $any ]] || { note "nothing runs: 'make start' starts it in the background, 'make run' with a view of it"; return; }
  # shellcheck disable=SC1091
  source "$VYX/env"
  psql -XqAtc "SELECT format('    feed           %s: %s', status, reason) FROM vyx_health()"
}

clean() {
  local link
  [[ -e $VYX ]] || return 0
  stop
  for link in "$VYX"/run/*/socket.d; do
    [[ ! -L $link ]] || rm -rf "$(readlink "$link")"
  done
  say "Removing $VYX"
  rm -rf "$VYX" "$ROOT/.vyx"
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status) status ;;
  clean) clean ;;
  psql)
    use_feed sim; pg_running || { use_feed binance; pg_running; } || die "the cluster does not run" "start it with 'make start'"
    # shellcheck disable=SC1091
    source "$VYX/env"
    exec psql "${@:2}"
    ;;
  *) die "unknown command '${1:-}'" "usage: cluster.sh start|stop|status|psql|clean" ;;
esac
