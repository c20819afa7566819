#!/bin/sh
# The suites of all that sends or receives messages, once with delivery in place, which is the default, and once with every message
# through its queue: nothing may differ. Words after the script's name go to cargo.
set -eu
cd "$(dirname "$0")/.."
suites="-p loket-runtime -p loket-contract -p loket-host"
# shellcheck disable=SC2086
cargo test $suites "$@"
# shellcheck disable=SC2086
LOKET_IN_PLACE=off cargo test $suites "$@"
