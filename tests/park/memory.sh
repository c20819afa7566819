#!/usr/bin/env bash
# What parked agents cost: the resident memory of a fleet without children, with AGENTS of them parked on a question to a person, and
# again after a kill -9 and a start; each once it changes no more, for freed memory is given back after a second. Prints the figures,
# and fails when either time the whole process has more than LIMIT_MIB, or an agent more than LIMIT_EACH_KIB over none.
#
# tests/park/memory.sh          10,000 agents, some minutes
# tests/park/memory.sh short    2,000, and only the bound of each, which the brains that stay open count against: with the system's
#                               allocator it was 31 KiB
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
    short) agents=${AGENTS:-2000} limit_mib=${LIMIT_MIB:-1024} limit_each_kib=${LIMIT_EACH_KIB:-20} ;;
    "") agents=${AGENTS:-10000} limit_mib=${LIMIT_MIB:-64} limit_each_kib=${LIMIT_EACH_KIB:-6} ;;
    *) echo "usage: tests/park/memory.sh [short]" >&2; exit 2 ;;
esac
batch=500
port=$((20000 + RANDOM % 20000))

# Few slots: what is measured are agents that wait, not the pool of those that run, which keeps some pages of each slot.
cat >"$work/fleet.ron" <<RON
Fleet(version: 1, name: "parked", slots: 16, listen: "127.0.0.1:$port", root: Supervisor(children: [
    Supervisor(id: "w", strategy: SimpleOneForOne, max_children: $agents, children: [
        Agent(id: "child", module: "builtin:script", park_after: "20ms", grants: [(cap: "human.ask")]),
    ]),
    Agent(id: "boss", module: "builtin:script", limits: (deadline: "600s"), grants: [
        (cap: "agent.spawn", scope: { "under": ["w"] }), (cap: "agent.send", scope: { "to": ["w/*"] }),
    ]),
]))
RON

metric() {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    awk -v name="$1" '$1 == name { print $2 }' <&3
    exec 3<&-
}
all_parked() { [ "$(metric loket_turns_parked)" = "$agents" ]; }
# Looks until the memory has not changed for STILL looks by more than a quarter of a MiB, thirty seconds at most.
STILL=30
at_rest() {
    local last=0 now still=0 n=0
    while [ $still -lt $STILL ] && [ $n -lt 300 ]; do
        now=$(memory VmRSS) n=$((n + 1)) still=$((still + 1))
        [ $((now - last)) -le 256 ] && [ $((last - now)) -le 256 ] || last=$now still=0
        sleep $LOOK
    done
}
worst=0 floor="" each=0
report() {
    local rss anon
    at_rest
    rss=$(memory VmRSS) anon=$(memory RssAnon)
    : "${floor:=$rss}"
    [ "$rss" -le "$worst" ] || worst=$rss each=$(((rss - floor) / agents))
    awk -v what="$1" -v rss="$rss" -v anon="$anon" -v floor="$floor" -v agents="$agents" 'BEGIN {
        printf "%-44s %6.1f MiB resident, %6.1f MiB of it anonymous; %5.1f KiB an agent over none\n", what, rss/1024, anon/1024, (rss-floor)/agents
    }'
}
steps() { # steps FROM TO FORMAT
    printf '['; for n in $(seq "$1" "$2"); do [ "$n" = "$1" ] || printf ','; printf "$3" "$n"; done; printf ']'
}

start
report "no children"
for from in $(seq 1 $batch "$agents"); do
    to=$((from + batch - 1)); [ $to -le "$agents" ] || to=$agents
    steps "$from" "$to" '{"call":"agent.spawn","args":{"under":"w","name":"n%d"},"or":"fail"}' | ask call boss - --timeout 600 >/dev/null
    steps "$from" "$to" '{"call":"agent.send","args":{"to":"w/n%d","body":"[{\\"call\\":\\"human.ask\\",\\"args\\":{\\"question\\":\\"?\\"}}]"},"or":"fail"}' | ask call boss - --timeout 600 >/dev/null
done
until_ok "all are parked" all_parked
report "$agents parked"
kill_9
start
until_ok "all are parked again" all_parked
report "$agents parked, after kill -9 and a start"
ask stop >/dev/null; wait "$pid" || fail "it did not stop well"; pid=""
worst_mib=$(((worst + 1023) / 1024))
[ "$worst_mib" -le "$limit_mib" ] || fail "$worst_mib MiB in all are more than $limit_mib; $((floor / 1024)) MiB are the fleet without them"
[ "$each" -lt "$limit_each_kib" ] || fail "$each KiB an agent, limit $limit_each_kib"
echo "ok: $agents parked agents in $worst_mib MiB, limit $limit_mib; less than $limit_each_kib KiB each over none"
