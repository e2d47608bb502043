#!/usr/bin/env bash
# Has pgspot read what CREATE EXTENSION and ALTER EXTENSION UPDATE run: the scripts as they are installed, nothing built again.
# usage: spot.sh PG_CONFIG      (of a server that vyx has been installed into)
source "$(dirname "$0")/common.sh"

[[ -e $PGSPOT/ready ]] || die "pgspot $PGSPOT_VERSION is missing" "run 'tests/demo/setup.sh test' first"
scripts=("$("$1" --sharedir)"/extension/vyx--*.sql)
[[ -e ${scripts[0]} ]] || die "there is no script of vyx in $("$1" --sharedir)/extension" "run 'make test', which installs it there"
"$PGSPOT/bin/python" "$DEMO/spot.py" "${scripts[@]}"
