#!/bin/sh
# 100 kill -9 at random while an outside driver sends 600 files, at least 50 of them with a turn open. About two minutes.
# More arguments go to the driver: campaign.sh --kills 1000 --seed 7 --keep
. "$(dirname "$0")/lib.sh"
exec "$DRIVER" campaign --kills 100 --open 50 --files 6 --loket "$LOKET_BIN" "$@"
