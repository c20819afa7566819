#!/bin/sh
# The short form for CI: 10 kills at random, then 4 in a row of one turn. Well under a minute once it is built.
. "$(dirname "$0")/lib.sh"
"$DRIVER" campaign --kills 10 --open 3 --files 6 --loket "$LOKET_BIN" "$@"
exec "$DRIVER" same-turn --kills 4 --loket "$LOKET_BIN" "$@"
