#!/usr/bin/env bash
# Has pgspot read what CREATE EXTENSION and ALTER EXTENSION UPDATE run: the scripts as they are installed, nothing built again.
# usage: spot.sh PG_CONFIG      (of a server that vyx has been installed into)
source "$(dirname "$0")/common.sh"

[[ -e $PGSPOT/ready ]] || die "pgspot $PGSPOT_VERSION is missing" "run 'tests/demo/setup.sh test' first"
cd "$("$1" --sharedir)/extension"
scripts=(vyx--*.sql)
[[ -e ${scripts[0]} ]] || die "there is no script of vyx in $PWD" "run 'make test', which installs it there"
for script in "${scripts[@]}"; do
  note "$script"
  before=()
  # vyx--0.1.0--0.2.0.sql runs in what vyx--0.1.0.sql has made, which is kept where upgrades are tested.
  [[ $script != vyx--*--*.sql ]] || before=("$ROOT/tests/upgrade/${script%--*}.sql")
  "$PGSPOT/bin/python" "$DEMO/spot.py" "${before[@]}" "$script"
done
