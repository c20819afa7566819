#!/usr/bin/env bash
# Breaks each rule of the turn in the real code, one after the other, and prints after how many seeds the simulation finds it.
#
#   tests/sim/mutations.sh [--seeds N] [NAME ...]
#
# Without names, all that `loket-sim --list` knows. Ends with `N mutations caught, M missed`, and with an error when one was missed that
# is not expected to be (see EXPECTED below and tests/sim/README.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=1000
names=()
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) names+=("$1"); shift ;;
  esac
done
# Never found: with a ledger that keeps its order nobody can see them (result_early in the model of the rules, too).
EXPECTED=" result_early "
sim=${LOKET_SIM:-target/debug/loket-sim}
[ -x "$sim" ] || cargo build -p loket-sim --locked
[ "${#names[@]}" -gt 0 ] || mapfile -t names < <("$sim" --list)
caught=0
missed=0
for name in "${names[@]}"; do
  if found=$("$sim" --mutation "$name" --seeds "$seeds"); then
    printf '%-20s %s\n' "$name" "$(head -1 <<<"$found")"
    caught=$((caught + 1))
  elif [[ $EXPECTED == *" $name "* ]]; then
    printf '%-20s not found in %s seeds, as expected\n' "$name" "$seeds"
  else
    printf '%-20s NOT FOUND in %s seeds\n' "$name" "$seeds"
    missed=$((missed + 1))
  fi
done
echo "$caught mutations caught, $missed missed"
[ "$missed" -eq 0 ]
