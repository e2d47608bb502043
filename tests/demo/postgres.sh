# Sourced: the Postgres server of the private cluster. Expects RUN, DATA, BIN and FEED.
# shellcheck shell=bash

# The postmaster works in its data directory: unlike the number in postmaster.pid, that cannot be another process's.
pg_running() {
  local pid
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) && [[ $pid && $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$(readlink -f "$DATA")" ]]
}

# Whether something listens there: a connection to loopback succeeds.
port_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Remembers the port of the last time, or the next free one.
choose_port() {
  local port
  port=$(cat "$RUN/port" 2>/dev/null || echo 54320)
  while port_taken "$port"; do
    note "port $port is in use by another program"
    ((port++ < 54420)) || die "no free port between 54320 and 54420" "write the number of a free one to $RUN/port"
  done
  echo "$port" >"$RUN/port"
}

# A socket's whole path must stay below 108 bytes; where the checkout lies too deep for that, it goes to /tmp.
choose_socket() {
  local dir=$RUN/socket.d
  if ((${#dir} + 16 < 107)); then
    as_cluster mkdir -p -m 700 "$dir"
  else
    dir=$(cat "$RUN/socket" 2>/dev/null || true)
    # Only a directory that is still the cluster's own: /tmp may have been emptied and the name taken.
    [[ -d $dir && $(stat -c '%U %a' "$dir") == "$(cluster_user) 700" ]] || dir=$(as_cluster mktemp -d /tmp/vyx-XXXXXX)
    ln -sfn "$dir" "$RUN/socket.d"
  fi
  echo "$dir" >"$RUN/socket"
}

make_cluster() {
  cluster_dir "$RUN"
  as_cluster mkdir -p -m 700 "$RUN/log"
  need_room "$RUN" 500
  [[ -d $DATA ]] && return
  say "Creating a private cluster in $DATA"
  # initdb into another name: an interrupted one is never taken for a cluster.
  rm -rf "$DATA.new"
  as_cluster "$BIN/initdb" --pgdata "$DATA.new" --username postgres --encoding UTF8 --no-locale \
    --auth-local trust --auth-host scram-sha-256 >"$RUN/initdb.log" 2>&1 || die "initdb failed" "$(tail -n 5 "$RUN/initdb.log")"
  echo "include '../vyx.conf'      # written at each start; your own settings: ALTER SYSTEM" | as_cluster tee -a "$DATA.new/postgresql.conf" >/dev/null
  as_cluster mv "$DATA.new" "$DATA"
}

# The settings of the demo, written at each start so that they follow the checkout.
write_settings() {
  local sim
  choose_socket
  pg_running || choose_port
  sim=$(cat "$RUN/sim.port" 2>/dev/null || true)
  {
    cat "$DEMO/demo.conf"
    echo "port = $(<"$RUN/port")"
    # Trust belongs to whoever may enter this directory (mode 0700); over TCP a password is needed, and none is set.
    echo "unix_socket_directories = '$(<"$RUN/socket")'"
    echo "cron.host = '$(<"$RUN/socket")'"
    if [[ $FEED == sim ]]; then
      echo "vyx.stream_url = 'ws://127.0.0.1:$sim'"
      echo "vyx.rest_url = 'http://127.0.0.1:$sim'"
    fi
  } >"$RUN/vyx.conf"
}

# Whether any process still works in the data directory: backends outlive a killed postmaster for a moment.
data_in_use() { readlink /proc/[0-9]*/cwd 2>/dev/null | grep -qxF "$(readlink -f "$DATA")"; }

# After a crash or a reboot the number in a lock file may belong to another program of the same user, and Postgres
# would refuse to start. A file goes only when nobody works in the data directory; otherwise it is a guard.
remove_stale_locks() {
  local pid tries
  for ((tries = 0; tries < 50; tries++)); do
    data_in_use || break
    sleep 0.1
  done
  ! data_in_use || return 0
  rm -f "$(<"$RUN/socket")"/.s.PGSQL.*
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) || return 0
  ! kill -0 "$pid" 2>/dev/null || rm -f "$DATA/postmaster.pid"
}

pg_start() {
  local tries
  for ((tries = 0; tries < 3; tries++)); do
    say "Starting the server on port $(<"$RUN/port")"
    remove_stale_locks
    : >"$RUN/start.log"
    as_cluster "$BIN/pg_ctl" start --pgdata "$DATA" --wait --silent >"$RUN/start.log" 2>&1 </dev/null 9>&- && return
    # Between the choice of a port and its use another program can take it.
    grep -q 'Address already in use' "$RUN/start.log" || break
    write_settings
  done
  die "the server did not start" "$(cat "$RUN/start.log" "$RUN"/log/postgres-*.log 2>/dev/null | grep -E 'FATAL|ERROR|HINT|No space' | tail -n 4)" "the whole story is in $RUN/log and $RUN/start.log"
}

pg_reload() { as_cluster "$BIN/pg_ctl" reload --pgdata "$DATA" --silent; }

# Fast: sessions are ended. A server that hangs for a minute is a bug worth seeing, and is then not left behind.
pg_stop() {
  BIN=${BIN:-$(dirname "$(readlink -f "$VYX/pg_config")")}
  as_cluster "$BIN/pg_ctl" stop --pgdata "$DATA" --mode fast --timeout 60 --silent 2>/dev/null && return
  note "the server did not stop within a minute; it is stopped at once and recovers at the next start"
  as_cluster "$BIN/pg_ctl" stop --pgdata "$DATA" --mode immediate --timeout 30 --silent
}

# The database, the extensions and the example traders; all of it may exist already.
make_database() {
  # shellcheck disable=SC1091
  source "$VYX/env"
  [[ $(psql -XAtd postgres -c "SELECT 1 FROM pg_database WHERE datname = 'vyx'") ]] || {
    say "Creating the database, the extension and the example traders"
    psql -Xqd postgres -c 'CREATE DATABASE vyx'
  }
  PGOPTIONS='-c client_min_messages=warning' psql -Xq -v ON_ERROR_STOP=1 -f "$DEMO/demo.sql" >"$RUN/demo.log" ||
    die "the demo's SQL failed" "the server's log is in $RUN/log"
  [[ -e $RUN/sql ]] || sql_installed >"$RUN/sql"
  [[ $(<"$RUN/sql") == "$(sql_installed)" ]] ||
    note "the extension's SQL changed since this cluster was made; 'make clean-run' starts afresh with the new one"
}
