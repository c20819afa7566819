#!/bin/bash
# From exec, with a fresh data directory, to the first completed turn of a reader in the quickstart fleet: ten runs, the median,
# in milliseconds. Two moments of the readers' own log line `file read`, each taken when the line arrives: the first one is
# written at the end of the first turn, just before it is committed; the first with `files_read` 2 comes from a reader that
# found its first turn committed in its brain, so by then a turn has certainly been completed.
#
#   benches/first_turn.sh [RUNS]          LOKET_BIN names the binary; default target/release/loket
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${LOKET_BIN:-target/release/loket}
runs=${1:-10}
scratch=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
now() { echo $(( ${EPOCHREALTIME/./} / 1000 )); }

for run in $(seq "$runs"); do
    data=$scratch/$run
    mkfifo "$scratch/log.$run"
    began=$(now)
    "$binary" run fleets/quickstart.ron --data "$data" --plain >/dev/null 2>"$scratch/log.$run" &
    pid=$!
    exec 3<"$scratch/log.$run"
    read_at=
    done_at=
    while IFS= read -r -t 60 line <&3; do
        case $line in
            *'"file read"'*'files_read\":1,'*) [ -n "$read_at" ] || read_at=$(now) ;;
            *'"file read"'*'files_read\":2,'*) done_at=$(now); break ;;
        esac
    done
    # The pipe must not fill while the fleet lives.
    cat <&3 >/dev/null &
    drain=$!
    [ -n "$done_at" ] || { echo "run $run: no reader completed a turn" >&2; exit 1; }
    echo "$((read_at - began)) $((done_at - began))"
    "$binary" stop --now --data "$data" >/dev/null
    wait "$pid" || true
    pid=
    exec 3<&-
    wait "$drain" || true
done | tee "$scratch/all"

median() { sort -n | awk '{ all[NR] = $1 } END { print (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'; }
echo "median of $runs: first file read after $(cut -d' ' -f1 "$scratch/all" | median) ms," \
    "a completed turn seen after $(cut -d' ' -f2 "$scratch/all" | median) ms"
