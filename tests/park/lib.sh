# Shared by the scripts beside it: a fleet in a folder of its own, killed and started from outside.
# LOKET_BIN names a binary that is there already; otherwise the release binary is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "${LOKET_BIN:-}" ]; then
    cargo build --quiet --release -p loket-cli
    LOKET_BIN="${CARGO_TARGET_DIR:-target}/release/loket"
fi
LOKET_BIN=$(realpath "$LOKET_BIN")
work=$(mktemp -d)
data="$work/data"
pid=""
trap 'status=$?; [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; [ $status -eq 0 ] || tail -20 "$work/log" >&2; rm -rf "$work"; exit $status' EXIT

# How often is looked, and how often at most: five minutes.
LOOK=0.1
LOOKS=3000

fail() { echo "FAILED: $*" >&2; exit 1; }

ask() { "$LOKET_BIN" "$@" --data "$data"; }

# Looks until a command succeeds.
until_ok() {
    local what=$1 n=0; shift
    until "$@" >/dev/null 2>&1; do
        n=$((n + 1)); [ $n -lt $LOOKS ] || fail "not in time: $what"
        [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || fail "the fleet ended: $what"
        sleep $LOOK
    done
}

start() {
    LOKET_LOG=warn "$LOKET_BIN" run "$work/fleet.ron" --data "$data" </dev/null >>"$work/log" 2>&1 &
    pid=$!
    until_ok "the fleet is up" ask status
}

kill_9() { kill -9 "$pid"; wait "$pid" 2>/dev/null || true; pid=""; }

# A field of VmRSS and its like, in KiB.
memory() { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$pid/status"; }
