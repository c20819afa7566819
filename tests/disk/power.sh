#!/bin/sh
# Losses of power: 10,000 possible states at `Power` and 2,000 at `Process`, then 60 runs in which one fsync fails and lies. About
# 15 minutes. More arguments go to the first of them: power.sh --images 50000 --seed 7
. "$(dirname "$0")/lib.sh"
disk power --images 10000 --starts 100 "$@"
disk power --durability Process --images 2000 --starts 0
lie=1
while [ "$lie" -le 180 ]; do
    disk power --images 200 --starts 2 --messages 40 --lie "$lie"
    lie=$((lie + 3))
done
