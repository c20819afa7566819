#!/usr/bin/env bash
# Breaks what stands around the supervisor machine in one place at a time, in a scratch copy, and expects its tests to go red:
# `check`, `diff`, `schema` and `fmt` in supervision/src/fleet, and in actors/runtime the watchdog, the ladder, the quarantine of
# threads and the pauses.
#
#   tests/mutations/around.sh [NAME...]      # all mutants, or those whose name begins so
#
# Ends with `N mutations caught, M missed`, and with 0 only when the unbroken copy is green and every mutant is caught.
# SCRATCH (default: a new directory) may be given to build in the same place again.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"
export RUST_BACKTRACE=0

copy() {
  local part
  for part in kernel supervision actors/turn actors/runtime docs fleets; do
    rm -rf "${scratch:?}/$part"; mkdir -p "$scratch/$part"
    cp -r "$root/$part/." "$scratch/$part/"
  done
  sed -e '/^members = \[/,/^\]/c members = ["kernel", "supervision", "actors/turn", "actors/runtime"]' \
      -e '/^default-members/d' -e '/^exclude/d' "$root/Cargo.toml" > "$scratch/Cargo.toml"
  cp "$root/Cargo.lock" "$scratch/"
}

# Mends what the last mutant broke, and nothing else, so that nothing else is built again.
broken=()
mend() {
  local file
  for file in "${broken[@]}"; do cp "$root/$file.rs" "$scratch/$file.rs"; done
  broken=()
}

# Replaces OLD, which must be there exactly once, by NEW.
change() {
  broken+=("$1")
  OLD=$2 NEW=$3 perl -0pi -e '
    BEGIN { $o = $ENV{OLD}; $n = $ENV{NEW}; $c = 0 }
    $c += s/\Q$o\E/$n/g;
    END { exit($c == 1 ? 0 : 1) }' "$scratch/$1.rs" ||
    { echo "cannot apply to $1.rs: $2"; stale=1; }
}

fleet=supervision/src/fleet
runtime=actors/runtime/src
of() { # the tests of a file
  case $1 in
    supervision/*) echo -p loket-supervision --test fleet_check --test fleet_diff --test fleet_form ;;
    *) echo -p loket-runtime --lib --test hang --test away ;;
  esac
}

red() { # 2 means that it does not compile
  # shellcheck disable=SC2046
  (cd "$scratch" && timeout 1800 cargo test --offline -q --no-fail-fast $(of "$1") -- \
    --skip props > "$scratch/log" 2>&1)
  local code=$?
  if grep -q 'could not compile' "$scratch/log"; then return 2; fi
  return $((code != 0))
}

only=("$@"); missed=0; count=0; stale=0
wanted() {
  [ ${#only[@]} -eq 0 ] && return 0
  local prefix; for prefix in "${only[@]}"; do [[ $1 == "$prefix"* ]] && return 0; done
  return 1
}
mutant() { # NAME FILE OLD NEW [FILE OLD NEW]...
  local name=$1; shift
  wanted "$name" || return
  mend; stale=0; count=$((count + 1))
  local file=$1
  while [ $# -gt 0 ]; do change "$1" "$2" "$3"; shift 3; done
  if [ $stale = 1 ]; then missed=$((missed + 1)); return; fi
  red "$file"
  case $? in
    0) echo "SURVIVED  $name"; missed=$((missed + 1)) ;;
    1) echo "caught    $name: $(grep -oP '^    \K[a-z0-9_:]+(?=$)' "$scratch/log" | sort -u | head -3 | tr '\n' ' ')" ;;
    *) echo "BROKEN    $name does not compile"; grep -m1 -A5 '^error' "$scratch/log"
       missed=$((missed + 1)) ;;
  esac
}

copy
for half in supervision/ actors/; do
  if ! red $half; then echo "the tests of $half are red without any mutation:"; tail -20 "$scratch/log"; exit 1; fi
done

mutant check-significant-without-auto-shutdown $fleet/otp \
  'child.significant() && s.auto_shutdown == AutoShutdown::Never' 'false'
mutant check-attempts-as-many-as-intensity $fleet/otp \
  'agent.max_attempts > s.intensity' 'agent.max_attempts >= s.intensity'
mutant check-backoff-the-other-way $fleet/otp \
  '(1.0 - backoff.jitter) > millis(s.period_ms)' '(1.0 - backoff.jitter) < millis(s.period_ms)'
mutant check-template-with-children $fleet/otp \
  'if simple && let [Node::Supervisor(template)] = s.children.as_slice() {' \
  'if simple && let [Node::Supervisor(template)] = s.children.as_slice() && template.children.is_empty() {'
mutant check-a-person-does-not-count $fleet/flows 'fact.flow.out && !is_asked(grant, fact)' 'fact.flow.out'
mutant check-a-person-counts-for-all $fleet/flows 'covers(rule.as_str(), all)' \
  'covers(all, rule.as_str()) || covers(rule.as_str(), all)'
mutant check-later-provider $fleet/refs 'p.1 > a.1' 'p.1 < a.1'
mutant check-duplicate-id $fleet/otp 'if !here.insert(id) {' 'if !here.insert(id) && s.strategy != Strategy::OneForOne {'
mutant check-mandatory-key $fleet/refs '.filter(|key| key.mandatory)' '.filter(|key| key.mandatory && false)'

mutant diff-who-is-gone-stays $fleet/diff \
  'if !new.children.iter().any(|child| child.id() == was.id()) {' \
  'if false && !new.children.iter().any(|child| child.id() == was.id()) {'
mutant diff-places-count $fleet/diff 'map.remove("place");' ''
mutant diff-ends-come-last $fleet/diff 'Deed::End => 2,' 'Deed::End => 5,'
mutant diff-fixed-fields-change $fleet/diff 'find(|f| fixed.contains(&&*f.field))' \
  'find(|f| false && fixed.contains(&&*f.field))'
mutant diff-secrets-are-shown $fleet/diff 'HIDDEN.contains(&field.as_str()) || ' ''
mutant diff-order-does-not-count $fleet/diff 'if before != after {' 'if false && before != after {'
mutant diff-may-move $fleet/diff '&& was != path' '&& was != path && false'

mutant schema-lacks-a-field $fleet/schema 'field("pause_max", Form::Duration),' ''
mutant schema-leads-nowhere $fleet/schema 'field("operator", Form::List("grant")),' \
  'field("operator", Form::List("grants")),'
mutant schema-needs-nothing $fleet/schema 'needed("cap", Form::Text),' 'field("cap", Form::Text),'
mutant schema-needs-too-much $fleet/schema 'field("data", Form::Text),' 'needed("data", Form::Text),'

mutant fmt-comments-do-not-nest $fleet/fmt/lex '(depth, at) = (depth + 1, at + 2)' '(depth, at) = (1, at + 2)'
mutant fmt-backslashes-do-not-pair $fleet/fmt/lex "escaped = byte == b'\\\\' && !escaped;" "escaped = byte == b'\\\\';"
mutant fmt-comments-behind-are-lost $fleet/fmt/print "        out.push(' ');
        out.push_str(comment.text);" ''
mutant fmt-broken-lines-are-joined $fleet/fmt/print \
  'if group.broken && !items.is_empty() || !group.last.is_empty() {' 'if !group.last.is_empty() {'
mutant fmt-blank-lines-are-lost $fleet/fmt/print 'if index > 0 && (item.breaks > 1) {' 'if index > 0 && (item.breaks > 9) {'

mutant watchdog-another-poll-is-the-same $runtime/watchdog \
  '(seen.told, seen.rung) = (Told::Nothing, Rung::Ground);' ''
mutant watchdog-an-idle-lane-is-slow $runtime/watchdog '|| beat.is_multiple_of(2)' ''
mutant watchdog-stuck-is-slow $runtime/watchdog 'ms if ms >= self.config.stuck_ms => Told::Stuck,' ''
mutant ladder-all-rungs-at-once $runtime/ladder '.min(Self::number(self as u8 + 1))' ''
mutant ladder-nobody-is-told $runtime/ladder 'cell.tell_slow();' ''
mutant ladder-killed-is-not-hung $runtime/ladder 'cell.kill_hung();' 'cell.kill();'
mutant ladder-nobody-is-interrupted $runtime/ladder 'cell.progress.interrupt();' ''
mutant ladder-pauses-count $runtime/ladder 'if cell.progress.paused_on().is_some() {' 'if false {'
mutant quarantine-no-fence $runtime/quarantine 'place.door.fence();' ''
mutant quarantine-the-culprit-is-innocent $runtime/quarantine \
  'if hung { Exit::Hung } else { Exit::LaneLost }' 'if hung { Exit::LaneLost } else { Exit::LaneLost }'
mutant quarantine-one-too-many $runtime/quarantine \
  'self.stuck.load(Ordering::Acquire) >= self.max' 'self.stuck.load(Ordering::Acquire) > self.max'
mutant pause-in-the-mailbox $runtime/forward \
  'if presence.is_away() && waits_outside(presence, &admitted) {' 'if false {'
mutant pause-what-waits-stays $runtime/child '            mailbox.leave();
            forward::unattended(mailbox);' '            mailbox.leave();'
mutant pause-nobody-is-told-of-the-end $runtime/mailbox '        self.0.presence.here();
    }

    /// Takes messages again.' '    }

    /// Takes messages again.'
mutant pause-counts-afterwards $runtime/child 'self.control.progress.later(self.ms());' ''
mutant pause-due-is-not-told $runtime/registry 'self.door.expect(restart_at_ms);' ''
mutant pause-outsiders-wait $runtime/forward 'admitted.cargo().turn.is_some() || far()' 'admitted.cargo().turn.is_some()'

echo "$((count - missed)) mutations caught, $missed missed"
[ $missed = 0 ]
