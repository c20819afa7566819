#!/bin/sh
# 10,000 damaged brains: one bit flipped in, or the end cut off, the file or its log, of brains that were closed well and of brains
# that were killed. Each must answer as before, or lose only turns that are run again, or be refused; what SQLite cannot see is
# counted. CASES changes the number. A minute or two once it is built.
set -eu
cd "$(dirname "$0")/../.."
LOKET_DAMAGE_CASES="${CASES:-10000}" cargo test --quiet -p loket-store --lib -- --nocapture --exact \
    brain::tests::damage::e5_a_damaged_brain_answers_as_before_or_not_at_all
