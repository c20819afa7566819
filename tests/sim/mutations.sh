#!/usr/bin/env bash
# Breaks each rule of the turn in the real code, one after the other, and prints after how many seeds the simulation finds it.
#
#   tests/sim/mutations.sh [--seeds N] [--jobs N] [--into FILE] [NAME ...]
#
# Without names, all that `loket-sim --list` knows. With --into, a line for each mutation is added to FILE, and whoever has one there is
# not run again: a long run may be interrupted and goes on. Ends with `N mutations caught, M missed`, and with an error when one was
# missed that is not expected to be (see EXPECTED below and tests/sim/README.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=1000
jobs=2
into=/dev/null
names=()
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --into) into=$2; shift 2 ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) names+=("$1"); shift ;;
  esac
done
# Never found: with a ledger that keeps its order nobody can see them (result_early in the model of the rules, too).
EXPECTED=" result_early "
# Found soon only where scripts lean towards calls that a person denies.
LEANING=" mended_G2_refused "
sim=${LOKET_SIM:-target/debug/loket-sim}
[ -x "$sim" ] || cargo test -q --workspace --locked --test seeds --no-run
[ "${#names[@]}" -gt 0 ] || mapfile -t names < <("$sim" --list)
caught=0
missed=0
for name in "${names[@]}"; do
  line=$(grep -s "^$name " "$into" || true)
  if [ -z "$line" ]; then
    leaning=0
    [[ $LEANING != *" $name "* ]] || leaning=70
    found=$("$sim" --mutation "$name" --held "$leaning" --seeds "$seeds" --jobs "$jobs" || true)
    # A binary that did not come to its end has found nothing and run nothing.
    grep -q '^[0-9]* seeds, ' <<<"$found" || { echo "$name: no verdict: $found" >&2; exit 1; }
    case $found in
      broken*) line=$(printf '%-20s %s' "$name" "$(head -1 <<<"$found")") ;;
      *) line=$(printf '%-20s NOT FOUND in %s seeds' "$name" "$seeds") ;;
    esac
    echo "$line" >>"$into"
  fi
  echo "$line"
  case $line in
    *"NOT FOUND"*) [[ $EXPECTED == *" $name "* ]] || missed=$((missed + 1)) ;;
    *) caught=$((caught + 1)) ;;
  esac
done
echo "$caught mutations caught, $missed missed"
[ "$missed" -eq 0 ]
