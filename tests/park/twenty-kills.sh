#!/usr/bin/env bash
# An agent waits for an approval; meanwhile the process is killed 20 times, at moments of all kinds; then the approval comes, and the
# turn goes on to its end, once. KILLS changes the number.
. "$(dirname "$0")/lib.sh"
kills=${KILLS:-20}

cat >"$work/fleet.ron" <<'RON'
Fleet(version: 1, name: "parked", root: Supervisor(children: [
    Agent(id: "echo", module: "builtin:echo", grants: []),
    Agent(id: "clerk", module: "builtin:script", park_after: "50ms", grants: [
        (cap: "store.brain"), (cap: "agent.call", scope: { "to": ["echo"] }, approve: ["agent.call"]),
    ]),
]))
RON

# Something before the held call, so that there is a record to resume from, and something after it.
script='[{"call": "agent.list", "args": {"under": "nobody"}}, {"call": "agent.call", "args": {"to": "echo", "body": "hello"}}, {"call": "store.brain.kv.put", "args": {"key": "done", "value": "$1"}}]'
waits() { ask approvals --json | grep -q '"state": "waits"'; }

start
ask send clerk "$script" --key only >/dev/null
until_ok "the call waits for a person" waits
before=$(ask approvals --json)
for n in $(seq "$kills"); do
    # From at once to half a second after it answers: while it starts, while it waits, while nothing happens.
    sleep "0.$((RANDOM % 5))"
    kill_9
    start
    [ "$(ask approvals --json)" = "$before" ] || fail "after kill $n something else waits: $(ask approvals --json)"
    accepted=$(ask status --json | grep -o '"accepted": [0-9]*')
    [ "$accepted" = '"accepted": 1' ] || fail "after kill $n the held call has left: $accepted"
done
ask approvals approve 1 >/dev/null
answer=$(ask call clerk "$script" --key only --json | tr -d ' \n')
case $answer in
    *'{"ok":"hello"},{"ok":{}}]') ;;
    *) fail "it did not go on to its end: $answer" ;;
esac
status=$(ask status --json)
for field in '"letters": 0' '"lost": 0' '"waiting": 0' '"accepted": 2' '"completed": 2'; do
    echo "$status" | grep -q "$field" || fail "no $field in $status"
done
again=$(ask call clerk '[{"call": "store.brain.kv.get", "args": {"key": "done"}}]' --json | tr -d ' \n')
[ "$again" = '[{"ok":{"value":"hello"}}]' ] || fail "its brain says $again"
ask stop >/dev/null
wait "$pid" || fail "it did not stop well"
pid=""
echo "ok: $kills kills while a turn waited for an approval; approved, it went on to its end, once"
