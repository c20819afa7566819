#!/bin/sh
# The process ends at each of 5 fail points of each of 6 effect classes, 100 times; and 100 times the caller's group restarts while its
# Once call is out. More arguments go to the driver: points.sh --kills 3 visits each three times.
#
# Builds a binary with the feature `failpoints`, which is never shipped, unless LOKET_BIN names one that has it.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${LOKET_BIN:-}" ]; then
    # As the tests build it: the package alone asks for other features, and the engine would be built again.
    cargo test --quiet --workspace --features loket-cli/failpoints --test acceptance --no-run
    LOKET_BIN="${CARGO_TARGET_DIR:-target}/debug/loket"
fi
cargo build --quiet -p loket-tests --example crash
exec "${CARGO_TARGET_DIR:-target}/debug/examples/crash" points --kills 100 --loket "$LOKET_BIN" "$@"
