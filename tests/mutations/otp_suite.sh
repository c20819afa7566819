#!/usr/bin/env bash
# Breaks the machine and the runtime around it in one place at a time, in a scratch copy, and expects rows of OTP's suite, or of
# supervisor_api, to go red.
#
#   tests/mutations/otp_suite.sh [NAME...]      # all mutants, or those whose name begins so
#
# Says which tests went red. Ends with `N mutations caught, M missed`, and with 0 only when the unbroken copy is green and every
# mutant is caught. SCRATCH (default: a new directory) may be given to build in the same place again.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"
export RUST_BACKTRACE=0 OTP_SUITE_BOUND_S=${OTP_SUITE_BOUND_S:-10}
crates=(kernel supervision actors/turn actors/runtime)

fresh() {
  for crate in "${crates[@]}"; do
    mkdir -p "$scratch/$crate"
    (cd "$root/$crate" && find src tests examples -type f 2>/dev/null | while IFS= read -r file; do
      cmp -s "$file" "$scratch/$crate/$file" || { mkdir -p "$scratch/$crate/$(dirname "$file")"; cp "$file" "$scratch/$crate/$file"; }
    done)
    cp "$root/$crate/Cargo.toml" "$scratch/$crate/"
  done
  # The fleet's half explains its findings by these pages.
  mkdir -p "$scratch/docs"; ln -sfn "$root/docs/errors" "$scratch/docs/errors"
  if ! [ -e "$scratch/Cargo.toml" ]; then
    sed -e '/^members = \[/,/^\]/c members = ["kernel", "supervision", "actors/turn", "actors/runtime"]' \
        -e '/^default-members/d' -e '/^exclude/d' "$root/Cargo.toml" > "$scratch/Cargo.toml"
    cp "$root/Cargo.lock" "$scratch/"
  fi
}

# Replaces OLD, which must be there exactly once, by NEW.
change() {
  OLD=$2 NEW=$3 perl -0pi -e '
    BEGIN { $o = $ENV{OLD}; $n = $ENV{NEW}; $c = 0 }
    $c += s/\Q$o\E/$n/g;
    END { exit($c == 1 ? 0 : 1) }' "$scratch/$1.rs" ||
    { echo "cannot apply to $1.rs: $2"; stale=1; }
}

# Whether a test is red, or hangs; 2 means that it does not compile. What costs minutes, the scale of many children, is left out.
red() {
  local build=(cargo test --offline -q -p loket-runtime --test otp_suite --test supervisor_api --no-fail-fast)
  (cd "$scratch" && "${build[@]}" --no-run) > "$scratch/log" 2>&1 || return 2
  (cd "$scratch" && timeout 400 "${build[@]}" -- --skip linear::) > "$scratch/log" 2>&1
  return $(($? != 0))
}

only=("$@"); missed=0; count=0; stale=0
mutant() { # NAME FILE OLD NEW [FILE OLD NEW]...
  local name=$1; shift
  if [ ${#only[@]} -gt 0 ]; then
    local wanted=0; for prefix in "${only[@]}"; do [[ $name == "$prefix"* ]] && wanted=1; done
    [ $wanted = 1 ] || return
  fi
  fresh; stale=0; count=$((count + 1))
  while [ $# -gt 0 ]; do change "$1" "$2" "$3"; shift 3; done
  if [ $stale = 1 ]; then missed=$((missed + 1)); return; fi
  red
  case $? in
    0) echo "SURVIVED  $name"; missed=$((missed + 1)) ;;
    1) echo "caught    $name: $(grep -oP '^(\w+::)?\K\w+(?= --- FAILED)' "$scratch/log" | sort -u | tr '\n' ' ')" ;;
    *) echo "BROKEN    $name does not compile"; grep -m1 -A5 '^error' "$scratch/log"
       missed=$((missed + 1)) ;;
  esac
}

fresh
if ! red; then echo "the tests are red without any mutation:"; tail -20 "$scratch/log"; exit 1; fi

machine=supervision/src/machine
actor=actors/runtime/src/supervisor_actor

# The machine.
mutant 01-temporaries-restarted $machine/exit 'Restart::Temporary => false' 'Restart::Temporary => true'
mutant 02-killed-is-orderly $machine/exit 'matches!(self, Self::Normal |' 'matches!(self, Self::Killed | Self::Normal |'
mutant 03-group-stop-in-start-order $machine/job 'self.children.last_of(&mut job.stop)' 'self.children.first_of(&mut job.stop)'
mutant 04-intensity-off-by-one $machine/window 'self.0.len() <= usize' 'self.0.len() < usize'
mutant 05-failed-restart-not-retried $machine/decide 'Action::Restart => self.schedule_retry(seq, reason.is_charged()),' 'Action::Restart => self.settle(seq),'
mutant 06-brutal-kill-asks $machine/lifecycle 'Life::Running { .. } | Life::Starting { verdict: None } if brutal' \
  'Life::Running { .. } | Life::Starting { verdict: None } if brutal && id.is_empty()'
mutant 07-any-significant-never $machine/decide 'AutoShutdown::AnySignificant => true' 'AutoShutdown::AnySignificant => false'
mutant 08-ignored-temporary-kept $machine/lifecycle 'if simple || child.spec.restart == Restart::Temporary {' 'if simple {'
mutant 09-failed-start-child-keeps-the-spec $machine/job 'let forget = matches!(job.why, Why::StartChild { .. });' 'let forget = false;'
mutant 10-removed-by-a-change $machine/api 'for child in old.into_iter().flatten() {' 'for child in old.into_iter().flatten().take(0) {'
mutant 11-other-life-ended $machine/api '            _ => child.incarnation == incarnation,' '            _ => true,'
mutant 12-restarting-not-by-its-life $machine/api '(child.ran..=child.incarnation).contains(&incarnation)' 'child.incarnation == incarnation'
mutant 13-simple-stops-one-by-one $machine/job ' || self.flags.strategy == Strategy::SimpleOneForOne' ''
mutant 14-delete-of-a-restarting-child $machine/api 'Some(Life::Restarting { .. }) => Err(ApiError::Restarting)' 'Some(Life::Restarting { .. }) => Ok(seq)'
mutant 15-rest-for-one-restarts-all $machine/decide '(seq..ALL.end, seq..ALL.end)' '(ALL, ALL)'
mutant 16-terminate-counts-as-an-end $machine/lifecycle '        self.settle(seq);
    }

    /// OTP' '        let significant = self.children.get(seq).is_some_and(|child| child.spec.significant);
        self.settle(seq);
        if significant {
            self.begin_shutdown(Exit::Shutdown);
        }
    }

    /// OTP'

# The runtime.
mutant 20-sleeps-over-a-long-queue $actor/mod 'if !more {' 'if !more || more {'
mutant 21-temporary-code-kept $actor/brought 'if once { code.made.take() }' 'if once { code.made.clone() }'
mutant 22-change-forgotten-at-a-restart $actor/brought '*crate::lock(&self.place.plan) = Some(Arc::clone(&self.plan));' ''
mutant 23-added-children-stay $actor/mod 'self.code.iter().filter(|(_, code)| code.added)' 'self.code.iter().filter(|_| false)'
mutant 24-taken-name-is-a-failed-start $actor/brought 'PlaceError::Taken(place) => ApiError::AlreadyStarted(place.incarnation()),' \
  'PlaceError::Taken(_) => ApiError::StartFailed(exit.clone()),'
mutant 25-last-exit-not-noted $actor/children 'status.last_exit = Some(reason.clone());' 'let _ = reason;'
mutant 26-living-not-counted-down $actor/children 'self.living -= 1;' ''
mutant 27-plan-below-not-replaced $actor/brought '*crate::lock(&place.plan) = Some(Arc::new(node.clone()));' 'let _ = node;'
mutant 28-old-grants-after-a-change $actor/brought 'self.shared.authority.set_grants(principal, Arc::clone(grants));' 'let _ = (principal, grants);'
mutant 29-fixed-parts-change $actor/brought 'differs.then_some(part)' '(differs && part.is_empty()).then_some(part)'
mutant 30-order-of-a-change-lost $actor/brought '        children.push(child);
    }
    rest' '        drop(child);
    }
    rest'
mutant 31-closed-shard-stays actors/runtime/src/authority 'target.shards.retain(|(_, shard)| !shard.is(mailbox));' 'target.shards.retain(|_| true);'
mutant 32-log-lines-as-they-come supervision/src/visible 'match is_hidden(c) && !keep.contains(&c) {' 'match c == char::MAX {'
mutant 33-depth-without-end supervision/src/machine/exit '_ if depth == 0 =>' '_ if depth == usize::MAX =>' \
  supervision/src/machine/exit 'inner.line_into(line, depth - 1);' 'inner.line_into(line, depth.wrapping_sub(1).min(usize::MAX - 1));'
mutant 34-dynamic-start-told-to-all actors/runtime/src/history 'Context::Progress => tracing::debug!(' 'Context::Progress => tracing::info!('
mutant 35-place-of-a-failed-start-stays $actor/children '            self.shared.remove(id);
            return;' '            return;'
mutant 36-name-taken-by-a-change $actor/brought 'return Err(ControlError::Taken(child.name().to_string()));' ''

echo "$((count - missed)) mutations caught, $missed missed"
[ "$missed" = 0 ] && [ "$count" -gt 0 ]
