#!/usr/bin/env bash
# `make run`: starts the private cluster, shows what happens in it, and at Ctrl-C stops what it started.
# usage: run.sh            (environment: FEED, SPEED as in cluster.sh; WATCH=30 ends by itself after 30 seconds)
source "$(dirname "$0")/common.sh"

before=$("$DEMO/cluster.sh" status)
[[ $before == *", running,"* ]] && was_running=1 || was_running=

finish() {
  trap '' INT TERM HUP
  trap - EXIT
  if [[ $was_running ]]; then
    say "The cluster was running before and goes on: 'make stop' stops it"
  else
    "$DEMO/cluster.sh" stop
    note "the data stays: 'make run' goes on with it, 'make clean-run' removes it"
  fi
}
trap finish EXIT
# Ctrl-C is the ordinary way out, so it is a success.
trap 'exit 0' INT TERM HUP

"$DEMO/cluster.sh" start
"$DEMO/watch.sh"
