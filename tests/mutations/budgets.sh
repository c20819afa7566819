#!/usr/bin/env bash
# Breaks budgets and what waits for a person in one place at a time, in a scratch copy, and expects the tests of the turn and of the
# ledger to go red.
#
#   tests/mutations/budgets.sh [NAME...]      # all mutants, or those whose name begins so
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
  for part in kernel actors/turn actors/renew actors/ledger; do
    rm -rf "${scratch:?}/$part"; mkdir -p "$scratch/$part"
    cp -r "$root/$part/." "$scratch/$part/"
  done
  sed -e '/^members = \[/,/^\]/c members = ["kernel", "actors/turn", "actors/renew", "actors/ledger"]' \
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

of() { # the tests of a file
  case $1 in
    actors/turn/*) echo -p loket-turn --test budget ;;
    *) echo -p loket-ledger --test conformance --test levels --test expiry ;;
  esac
}

red() { # 2 means that it does not compile
  # shellcheck disable=SC2046
  (cd "$scratch" && timeout 1800 cargo test --offline -q --no-fail-fast $(of "$1") > "$scratch/log" 2>&1)
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
mutant() { # NAME FILE OLD NEW
  wanted "$1" || return
  mend; stale=0; count=$((count + 1))
  change "$2" "$3" "$4"
  if [ $stale = 1 ]; then missed=$((missed + 1)); return; fi
  red "$2"
  case $? in
    0) echo "SURVIVED  $1"; missed=$((missed + 1)) ;;
    1) echo "caught    $1: $(grep -oP '^    \K[a-z0-9_:]+(?=$)' "$scratch/log" | sort -u | head -3 | tr '\n' ' ')" ;;
    *) echo "BROKEN    $1 does not compile"; grep -m1 -A5 '^error' "$scratch/log"
       missed=$((missed + 1)) ;;
  esac
}

copy
for half in actors/turn/ actors/ledger/; do
  if ! red $half; then echo "the tests of $half are red without any mutation:"; tail -20 "$scratch/log"; exit 1; fi
done

charges=actors/ledger/src/ops/charges
budgets=actors/ledger/src/ops/budgets
approvals=actors/ledger/src/ops/approvals
expiry=actors/ledger/src/ops/expiry
purse=actors/turn/src/budget/purse
together=actors/turn/src/budget/together

mutant charge-one-level-less $charges \
  'for budget in standing.iter().filter(|budget| draws_on(charge, &budget.level)) {' \
  'for budget in standing.iter().filter(|budget| draws_on(charge, &budget.level)).skip(1) {'
mutant charge-settled-twice $charges \
  'self.conn.prepare_cached("DELETE FROM charges WHERE intent = ?1")?.execute([intent.0])?;' ''
mutant charge-reservation-stays $charges 'SET reserved = max(reserved - ?2, 0),' 'SET reserved = max(reserved - 0 * ?2, 0),'
mutant charge-message-has-no-end $charges 'WHERE subject = ?1 AND since_ms <> ?2' 'WHERE subject = ?1 AND since_ms > ?2'
mutant reopen-who-owes-is-forgotten $budgets \
  'SELECT r.life FROM charges c JOIN records r ON r.intent = c.intent' 'SELECT 0'
mutant remove-what-is-reserved-is-free $budgets 'self.settle_life(life)?;' ''
mutant reload-what-is-spent-is-forgotten $budgets 'SET hard = ?3, period_ms = ?4, soft = ?6' \
  'SET hard = ?3, period_ms = ?4, soft = ?6, spent = 0, reserved = 0'
mutant soft-nobody-is-asked $charges 'if budget.afford_unasked(&charge.wants).is_err()' 'if false'
mutant soft-approved-is-not-lifted $approvals 'UPDATE budgets SET lifted = 1' 'UPDATE budgets SET lifted = 0'
mutant soft-others-wait-on $approvals '            if self.is_open(&other) {' '            if false {'
mutant soft-any-arguments $approvals '&& *args == intent.args' ''
mutant expiry-twice $expiry 'WHERE p.verdict IS NULL AND p.expires_ms <= ?1' 'WHERE p.expires_ms <= ?1'
mutant expiry-early $expiry 'p.expires_ms <= ?1' 'p.expires_ms <= ?1 + 500'
mutant expiry-is-forgotten $approvals 'self.timers.look_by(expires_ms);' ''
mutant expiry-a-full-budget-denies $expiry '        Ok(!waits)' '        Ok(waits)'
mutant purse-counts-again $purse 'self.all(|drawn| drawn.counted)' 'self.all(|drawn| drawn.counted.and(&drawn.tail))'
mutant purse-soft-limit-is-none $purse \
  'let asks = |drawn: &&mut Drawn| drawn.budget.afford_unasked(&spends).is_err();' \
  'let asks = |_: &&mut Drawn| false;'
mutant together-nobody-is-seen $together 'line.spent = *known;' ''
mutant together-nothing-is-given-back $together \
  'window.spent.calls = window.spent.calls.saturating_sub(counted.calls);' ''

echo "$((count - missed)) mutations caught, $missed missed"
[ $missed = 0 ]
