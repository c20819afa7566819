#!/bin/sh
# A kill before every change of a run of 200 messages, a fleet started on each state. Long: thousands of starts, about an hour.
# More arguments go to the driver: kills.sh --every 10
. "$(dirname "$0")/lib.sh"
disk kills "$@"
