#!/bin/sh
# Every fsync of a run fails once, with the unsynced bytes gone; then the disk is full from every write on. About an hour.
# More arguments go to the driver: faults.sh --every 10
. "$(dirname "$0")/lib.sh"
disk eio --messages 60 "$@"
disk full --messages 60 "$@"
