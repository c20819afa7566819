#!/bin/sh
# Ten thousand wasm agents of a running fleet trap at once, twice: each is started again within 30 s of the first trap, and the tree
# answers within 100 ms all the while, until each has answered its next message. Exit code 1 when that does not hold, or anything was lost.
# LOKET_BIN names a binary that is there already; otherwise the release binary is built. `--help` of the driver lists the options.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN="${CARGO_TARGET_DIR:-target}/release/loket"
fi
cargo build --quiet -p loket-tests --example wasm_crowd
exec "${CARGO_TARGET_DIR:-target}/debug/examples/wasm_crowd" --loket "$LOKET_BIN" "$@"
