# Shared by the scripts here: builds what they need, unless LOKET_BIN names a binary that is there already.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN="${CARGO_TARGET_DIR:-target}/release/loket"
fi
cargo build --quiet -p loket-tests --example crash
DRIVER="${CARGO_TARGET_DIR:-target}/debug/examples/crash"
