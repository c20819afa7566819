#!/bin/sh
# 10 kill -9 in a row, each while the same turn is open: it ends all the same, once. About half a minute.
. "$(dirname "$0")/lib.sh"
exec "$DRIVER" same-turn --kills 10 --loket "$LOKET_BIN" "$@"
