# Sourced: the exchange simulator of a cluster, in the background. Its market time goes on where it stopped.
# shellcheck shell=bash

sim_running() {
  local pid
  pid=$(cat "$RUN/sim.pid" 2>/dev/null) && [[ $pid && $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$(readlink -f "$RUN")" ]]
}

sim_start() {
  local port tries
  if sim_running; then
    [[ $(cat "$RUN/sim.speed") == "$SPEED" ]] && return
    sim_stop
  fi
  # The port of the last time: a server that still runs finds the exchange again without being told.
  port=$(cat "$RUN/sim.port" 2>/dev/null || echo 0)
  ((port == 0)) || ! port_taken "$port" || port=0
  say "Starting the exchange simulator, market time $SPEED times as fast as the clock"
  as_cluster rm -f "$RUN/sim.port"
  # Its own session, so that Ctrl-C in the terminal reaches only the watching; without the lock's descriptor.
  # shellcheck disable=SC2016  # the inner shell expands these
  as_cluster sh -c 'cd "$1" && echo "$2" >sim.speed || exit
    setsid "$3" --port "$4" --port-file sim.port --speed "$2" --clock-file market-clock >log/sim.log 2>&1 </dev/null &
    echo $! >sim.pid' sim "$RUN" "$SPEED" "$BIN/vyx-sim" "$port" 9>&-
  for ((tries = 0; tries < 100; tries++)); do
    [[ ! -s $RUN/sim.port ]] || return 0
    sleep 0.1
    sim_running || break
  done
  die "the simulator did not start" "$(tail -n 5 "$RUN/log/sim.log" 2>/dev/null)"
}

sim_stop() {
  local pid tries
  sim_running || return 0
  pid=$(<"$RUN/sim.pid")
  kill -TERM "$pid"
  for ((tries = 0; tries < 50; tries++)); do
    sim_running || break
    sleep 0.1
  done
  ! sim_running || kill -KILL "$pid"
  rm -f "$RUN/sim.pid"
}
