# Shared by the scripts here: builds what they need, unless LOKET_BIN names a binary that is there already. Needs a C compiler.
set -eu
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN="$target/release/loket"
fi
cargo build --quiet -p loket-tests --example disk
mkdir -p "$target"
${CC:-cc} -O2 -Wall -Wextra -shared -fPIC -o "$target/disk-shim.so" tests/disk/shim.c -ldl -lpthread
# On a disk of memory where there is one: what is tested is the order of changes, not the disk.
[ -n "${TMPDIR:-}" ] || { [ -w /dev/shm ] && export TMPDIR=/dev/shm; } || true
disk() {
    scenario=$1
    shift
    "$target/debug/examples/disk" "$scenario" --loket "$LOKET_BIN" --shim "$target/disk-shim.so" "$@"
}
