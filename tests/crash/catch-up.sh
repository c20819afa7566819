#!/usr/bin/env bash
# What catch-up costs: BRAINS brains (1,000 unless said), each TURNS turns (10) behind its ledger: their files are gone, as after a loss of power before
# they were synced. Prints the time until each has handled one more message, beside the same without anything to catch up on; fails when
# a brain comes to something else.
# A short form: BRAINS=50 TURNS=3 catch-up.sh
. "$(dirname "$0")/../park/lib.sh"
cargo build --quiet -p loket-tests --example crash
driver="${CARGO_TARGET_DIR:-target}/debug/examples/crash"
brains=${BRAINS:-1000}
turns=${TURNS:-10}
batch=500

agents=$(for n in $(seq "$brains"); do
    printf 'Agent(id: "a%d", module: "builtin:echo", grants: [(cap: "store.brain")]),\n' "$n"
done)
cat >"$work/fleet.ron" <<RON
Fleet(version: 1, name: "behind", keep_turns: 1000, root: Supervisor(intensity: 1000, children: [
    $agents
    Agent(id: "boss", module: "builtin:script", limits: (deadline: "600s"), grants: [(cap: "agent.send", scope: { "to": ["*"] })]),
]))
RON

count_all() { # one "count" to each
    local from to n
    for from in $(seq 1 $batch "$brains"); do
        to=$((from + batch - 1)); [ $to -le "$brains" ] || to=$brains
        { printf '['; for n in $(seq "$from" "$to"); do
            [ "$n" = "$from" ] || printf ','
            printf '{"call":"agent.send","args":{"to":"a%d","body":"count"},"or":"fail"}' "$n"
        done; printf ']'; } | ask call boss - --timeout 600 >/dev/null
    done
    until_ok "all have counted" settled
}
settled() { ask status --json | grep -q '"waiting": 0'; }
all_at() { # every brain has counted to N
    ask query "SELECT count(*) AS n FROM kv WHERE key = 'count' AND value = '$1'" | tail -1 | grep -qx "$brains"
}
took=""
timed() { # runs a command; its seconds, to the hundredth, are in `took`
    local began=$EPOCHREALTIME
    "$@"
    took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
}
stop() { ask stop >/dev/null; wait "$pid" || fail "it did not stop well"; pid=""; }
round() { start; count_all; }

start
for _ in $(seq "$turns"); do count_all; done
until_ok "all have counted to $turns" all_at "$turns"
stop
timed round; level=$took
until_ok "all have counted on" all_at $((turns + 1))
stop
"$driver" behind "$data" >/dev/null
timed round; behind=$took
until_ok "all have counted on from what they knew" all_at $((turns + 2))
letters=$(ask letters)
[ "$letters" = "no dead letters" ] || fail "$letters"
stop
reruns=$((brains * (turns + 1)))
echo "ok: $brains brains, each $((turns + 1)) turns behind ($reruns turns run again): $behind s from the start until each had handled one more message; $level s with nothing to catch up on"
