#!/bin/bash
# Loket's call beside other actor systems' calls: everything in turns, round by round, then medians, ranges, the ratios that are
# targets, and for each hit or MISS. Needs nobody to look on; some ten minutes after the builds.
#
#   benches/compare.sh [ROUNDS] [DIR]     at least 7 rounds count; the rounds' files stay in DIR (default: a new folder, removed)
#
# LOKET_BIN names a binary that is there already; else target/release/loket, built first. Peers are a workspace of their own
# (benches/peers), so that what they ask of shared crates does not change what Loket is built with. BEAM is skipped, loudly,
# where there is no `erl`.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7}
folder=${2:-}
if [ -z "$folder" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
rm -rf "$folder"/round-*

echo "building" >&2
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN=target/release/loket
fi
cargo build --quiet --release -p loket-benches --bin path
cargo build --quiet --release -p loket-kernel --example admit_cost
cargo build --quiet --release --manifest-path benches/peers/Cargo.toml
peers=benches/peers/target/release/loket-peers
path=target/release/path
admit=target/release/examples/admit_cost

# A table of 10,000 agents with 20 grants each stands on every node that is measured.
crowd=(--agents 10000 --grants 20 --callers 64 --repeats 1 --json)

round() {
    "$peers" run --seconds 0.2 --callers 64 >"$1/peers.json"
    "$LOKET_BIN" bench --tier c,c2,d --seconds 2 "${crowd[@]}" >"$1/path.json"
    "$LOKET_BIN" bench --tier e --seconds 4 --agents 256 --grants 20 --callers 256 --repeats 1 --json >"$1/turns.json"
    "$LOKET_BIN" bench --tier c --payload 4096 --seconds 1 "${crowd[@]}" >"$1/large.json"
    LOKET_IN_PLACE=off "$LOKET_BIN" bench --tier c,c2 --seconds 1 "${crowd[@]}" >"$1/queued.json"
    { "$path" call 10000 1000000; "$path" call-bare 10000 1000000; } >"$1/call.txt"
    # A minute for itself: every third round is enough of it, the figure is a median of batches.
    if [ $((n % 3)) = 1 ]; then "$admit" >"$1/admit.txt"; fi
}

echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(date -u +%FT%TZ), $(git rev-parse --short HEAD)"
for n in $(seq "$rounds"); do
    echo "round $n of $rounds" >&2
    mkdir "$folder/round-$n"
    round "$folder/round-$n"
done
echo "load $(cut -d' ' -f1-3 /proc/loadavg) at the end"
"$peers" verdict "$folder"
