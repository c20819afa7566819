#!/bin/sh
# 100 kill -9 at random while agents call a service outside: reads, writes under keys, writes that are sent once.
# More arguments go to the driver: calls.sh --kills 1000 --seed 7 --keep
. "$(dirname "$0")/lib.sh"
exec "$DRIVER" calls --kills 100 --open 50 --files 6 --loket "$LOKET_BIN" "$@"
