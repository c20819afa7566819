#!/usr/bin/env bash
# The simulation for `.ci/run`: a thousand seeds, each twice, then the mutations that a few hundred seeds find. Ends with
# `N rules held, M broken`.
#
# Uses the binary that `cargo test --workspace` has built, with the same features: another build would compile the engine again.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo test -q --workspace --locked --test seeds --no-run
sim=target/debug/loket-sim
"$sim" --seeds 1000
found=(ack_early brain_first observe_unflushed written_C4_fence module_today late_refused rewind_undone)
for name in "${found[@]}"; do
  "$sim" --mutation "$name" --seeds 1000
done
# What only turns come to that wait for a person who says no: both ways.
"$sim" --held 70 --seeds 200
"$sim" --mutation mended_G2_refused --held 70 --seeds 1000
echo "$((3 + ${#found[@]})) rules held, 0 broken"
