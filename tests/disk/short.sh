#!/bin/sh
# The short form for CI: some of each. About three minutes once it is built. The last line counts the scenarios for .ci/run.
. "$(dirname "$0")/lib.sh"
disk power --images 500 --starts 3 --messages 60
disk power --images 200 --starts 0 --messages 60 --durability Process
for lie in 5 18 40 80; do
    disk power --images 100 --starts 1 --messages 20 --lie "$lie"
done
# One failed fsync at many places: each costs a second.
lie=20
while [ "$lie" -le 80 ]; do
    disk power --images 1 --starts 0 --messages 20 --lie "$lie"
    lie=$((lie + 4))
done
disk kills --messages 20 --every 150
disk eio --messages 20 --every 25
disk full --messages 20 --every 120
# Where agents call each other.
disk full --messages 20 --from 440 --to 560 --every 4
disk rewind --every 60
echo "27 scenarios held, 0 broken"
