#!/bin/bash
# Instructions of an admission and of a call in place, counted by callgrind and held against what is written down beside this file:
# a regression shows on a machine of any load. 1 when one takes more than the tolerance above it; skipped, loudly, without valgrind.
#
#   benches/instructions.sh             counts and compares
#   benches/instructions.sh --record    counts and writes down; commit the file together with what changed the numbers
#
# The count of twice as many calls less that of so many is what these calls take: the start of the process drops out.
set -euo pipefail
cd "$(dirname "$0")/.."
recorded=benches/instructions.txt
# Per cent. Another compiler or allocator moves the numbers by some; a clock reading or a lock more on the path is over it.
tolerance=5
calls=20000
if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: instruction counts: there is no valgrind on this machine (apt-get install valgrind)"
    exit 0
fi
cargo build --quiet --release -p loket-benches --bin path
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Instructions of the thread that makes $2 of $1: the busiest one. What the others do while they wait for it depends on the machine's
# load; counted with it, one binary came to anything from 2,233 to 2,695 for a call.
count() {
    rm -f "$scratch"/out*
    valgrind --tool=callgrind --separate-threads=yes --callgrind-out-file="$scratch/out" target/release/path "$1" 64 "$2" \
        >/dev/null 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
    awk '/^summary:/ && $2 > most { most = $2 } END { print most }' "$scratch"/out*
}

passed=0 failed=0
for what in admit refuse call; do
    once=$(count "$what" "$calls")
    twice=$(count "$what" $((2 * calls)))
    now=$(( (twice - once) / calls ))
    if [ "${1:-}" = --record ]; then
        echo "$what $now" >>"$scratch/new"
        echo "$what: $now instructions"
        continue
    fi
    was=$(awk -v what="$what" '$1 == what { print $2 }' "$recorded")
    [ -n "$was" ] || { echo "$what: nothing is written down in $recorded" >&2; exit 1; }
    if [ "$now" -gt $(( was * (100 + tolerance) / 100 )) ]; then
        echo "$what: $now instructions, more than $was and $tolerance %"
        failed=$((failed + 1))
    else
        echo "$what: $now instructions, written down $was"
        passed=$((passed + 1))
    fi
done
if [ "${1:-}" = --record ]; then
    mv "$scratch/new" "$recorded"
    exit 0
fi
echo "$passed counts held, $failed broken"
[ "$failed" -eq 0 ]
