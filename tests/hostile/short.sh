#!/bin/sh
# The short form for CI: under each disturbance a few hundred calls of a neighbour on the same lane, all answered; each harmed
# child restarted alone; the process alive; nothing lost. No verdict on time: see benches/README.md for that.
# LOKET_BIN names a binary that is there already.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN="${CARGO_TARGET_DIR:-target}/release/loket"
fi
export LOKET_BIN
exec cargo run --quiet -p loket-benches --bin neighbours -- --short "$@"
