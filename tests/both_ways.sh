#!/bin/sh
# The suites of all that sends or receives messages, once with delivery in place, which is the default, and once with every message
# through its queue: nothing may differ. `both_ways.sh queued` runs the second alone. More words go to cargo.
#
# Suites are named for the workspace, not by package: packages alone ask for other features, and the engine would be built again.
set -eu
cd "$(dirname "$0")/.."
suites="--lib"
for path in actors/runtime/tests/* agents/host/tests/*; do
    name=$(basename "$path" .rs)
    case $name in common | support) ;; *) suites="$suites --test $name" ;; esac
done
if [ "${1:-}" = queued ]; then
    shift
else
    # shellcheck disable=SC2086
    cargo test --workspace $suites "$@"
fi
# shellcheck disable=SC2086
LOKET_IN_PLACE=off cargo test --workspace $suites "$@"
