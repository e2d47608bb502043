#!/usr/bin/env bash
# Shows the running cluster: refreshed in place on a terminal, otherwise a line for each signal and now and then the state.
# usage: watch.sh          (environment: WATCH=30 ends after 30 seconds)
source "$(dirname "$0")/common.sh"
# shellcheck disable=SC1091
source "$VYX/env"

connect="make psql    (or: . .vyx/env && psql)"
end=$((SECONDS + ${WATCH:-2000000000}))
# A server that is being restarted must not hold the picture for long.
export PGCONNECT_TIMEOUT=2

ask() { psql -Xq "$@" 2>&1 || true; }

# The whole screen, as much as fits: each line cut to the terminal's width, the rest of the old picture wiped.
draw() {
  local rows columns picture line
  read -r rows columns < <(stty size 2>/dev/null || echo 0 0)
  # A terminal that does not tell its size reports zeros.
  ((rows > 0 && columns > 0)) || { rows=24 columns=80; }
  # Besides the signals the picture has 17 lines.
  picture=$(printf 'vyx: a live market inside Postgres (%s)\nconnect: %s     Ctrl-C stops\n\n' "$VYX_FEED" "$connect"
    ask -v "signals=$((rows > 22 ? rows - 18 : 4))" -f "$DEMO/watch.sql")
  printf '\033[H'
  head -n "$((rows - 1))" <<<"$picture" | while IFS= read -r line; do printf '%s\033[K\n' "${line:0:columns}"; done
  printf '\033[J'
}

on_a_terminal() {
  trap "printf '\033[?25h\033[?1049l'" EXIT
  trap 'exit 0' INT TERM HUP
  printf '\033[?1049h\033[?25l\033[2J'
  while ((SECONDS < end)); do
    draw
    sleep 1
  done
}

in_lines() {
  local seen=0 seq line said=-10
  note "connect: $connect"
  while ((SECONDS < end)); do
    if ((SECONDS - said >= 10)); then
      said=$SECONDS
      ask -Atc "SELECT format('%s feed %s: %s', to_char(now(), 'HH24:MI:SS'), status, reason) FROM vyx_health()"
    fi
    while IFS='|' read -r seq line; do
      [[ $seq =~ ^[0-9]+$ ]] || { echo "$seq${line:+|$line}"; break; }
      seen=$seq
      echo "$line"
    done < <(ask -Atv "seen=$seen" -f "$DEMO/signals.sql")
    sleep 1
  done
}

if [[ -t 1 ]]; then on_a_terminal; else in_lines; fi
