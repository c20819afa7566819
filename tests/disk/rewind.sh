#!/bin/sh
# A brain is rewound: a kill before every change of that, and a loss of power there; a fleet is started twice on each state.
# More arguments go to the driver: rewind.sh --every 20
. "$(dirname "$0")/lib.sh"
disk rewind "$@"
