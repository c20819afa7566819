#!/usr/bin/env bash
# Breaks the supervisor machine in one place at a time, in a scratch copy, and expects its tests to go red.
#
#   tests/mutations/supervision.sh [NAME...]      # all mutants, or those whose name begins so
#
# The first 13 are what supervisors get wrong most, the others are ours. Ends with `N mutations caught, M missed`, and with 0 only when
# the unbroken copy is green and every mutant is caught. Expressions are broken one by one by `tests/mutants/run.sh machine`.
# SCRATCH (default: a new directory) may be given to build in the same place again.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"
export PROPERTY_CASES=${PROPERTY_CASES:-2000} RUST_BACKTRACE=0
tests=()
for file in "$root"/supervision/tests/machine_*.rs; do
  tests+=(--test "$(basename "$file" .rs)")
done

fresh() {
  for crate in kernel supervision; do
    mkdir -p "$scratch/$crate"
    rm -rf "$scratch/$crate/src" "$scratch/$crate/tests" "$scratch/$crate/examples"
    cp -r "$root/$crate/." "$scratch/$crate/"
  done
  sed -e '/^members = \[/,/^\]/c members = ["kernel", "supervision"]' \
      -e '/^default-members/d' -e '/^exclude/d' "$root/Cargo.toml" > "$scratch/Cargo.toml"
  cp "$root/Cargo.lock" "$scratch/"
  # The machine alone: the fleet file's half only costs time here.
  rm -rf "$scratch/supervision/src/fleet"
  printf '//! The machine.\npub mod machine;\nmod visible;\npub use visible::visible;\n' > "$scratch/supervision/src/lib.rs"
}

# Replaces OLD, which must be there exactly once, by NEW.
change() {
  OLD=$2 NEW=$3 perl -0pi -e '
    BEGIN { $o = $ENV{OLD}; $n = $ENV{NEW}; $c = 0 }
    $c += s/\Q$o\E/$n/g;
    END { exit($c == 1 ? 0 : 1) }' "$scratch/supervision/src/machine/$1.rs" ||
    { echo "cannot apply to $1.rs: $2"; stale=1; }
}

red() { # says which test files are red; 2 means that it does not compile
  (cd "$scratch" && timeout 300 cargo test --offline -q -p loket-supervision --no-fail-fast \
    "${tests[@]}" > "$scratch/log" 2>&1)
  local code=$?
  if grep -q 'could not compile' "$scratch/log"; then return 2; fi
  return $((code != 0))
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
    1) echo "caught    $name: $(grep -oP -- '--test \Kmachine_\w+(?=`$)' "$scratch/log" |
         sort -u | sed 's/machine_//' | tr '\n' ' ')" ;;
    *) echo "BROKEN    $name does not compile"; grep -m1 -A5 '^error' "$scratch/log"
       missed=$((missed + 1)) ;;
  esac
}

fresh
if ! red; then echo "the tests are red without any mutation:"; tail -20 "$scratch/log"; exit 1; fi

gone='if simple || child.spec.restart == Restart::Temporary {'
mutant 01-temporaries-restarted-in-a-group-restart lifecycle "$gone" \
  'let group = matches!(self.job.as_ref().map(|j| &j.why), Some(Why::Restart { .. }));
        if simple || (child.spec.restart == Restart::Temporary && !group) {'
mutant 02-killed-not-abnormal-for-transient exit \
  'matches!(self, Self::Normal |' 'matches!(self, Self::Killed | Self::Normal |'
mutant 03-shutdown-term-abnormal exit \
  'Self::Normal | Self::Shutdown | Self::ShutdownTerm(_))' 'Self::Normal | Self::Shutdown)'
mutant 04-intensity-off-by-one window 'self.0.len() <= usize' 'self.0.len() < usize'
mutant 04b-intensity-off-by-one-upwards window \
  'self.0.len() <= usize::try_from(budget.intensity)' \
  'self.0.len() <= 1 + usize::try_from(budget.intensity)'
mutant 05-failed-restart-not-counted decide 'self.schedule_retry(seq, reason.is_charged())' \
  'self.schedule_retry(seq, false)'
mutant 06-group-stop-in-start-order job 'self.children.last_of(&mut job.stop)' \
  'self.children.first_of(&mut job.stop)'
mutant 07-ended-transient-not-started-by-a-group-restart job \
  'if let Some(seq) = self.children.first_of(&mut job.start) {' \
  'if let Some(seq) = self.children.first_of(&mut job.start) {
                let ended = |c: &super::child::Child| c.spec.restart
                    == super::spec::Restart::Transient && c.last_exit == Some(Exit::Normal);
                if matches!(job.why, Why::Restart { .. }) && self.children.get(seq).is_some_and(ended) {
                    self.job = Some(job);
                    continue;
                }'
mutant 08-stale-exit-not-ignored lifecycle \
  'fn on_exited(&mut self, id: &str, incarnation: u64, reason: Exit) {' \
  'fn on_exited(&mut self, id: &str, incarnation: u64, reason: Exit) {
        let current = self.children.find(id).and_then(|seq| self.children.get(seq));
        let incarnation = current.map_or(incarnation, |child| child.incarnation);'
mutant 09-retry-of-the-wrong-child job 'self.job = Some(job);
                self.report(Context::StartError, Some(reason.clone()), seq);' \
  'let first = job.stop.start;
                self.job = Some(job);
                self.report(Context::StartError, Some(reason.clone()), seq);' \
  job 'return self.restart_failed(seq, &reason)' \
  'let rest = self.flags.strategy == Strategy::RestForOne;
                return self.restart_failed(if rest { first } else { seq }, &reason)'
mutant 10-terminate-triggers-auto-shutdown decide 'fn auto_shutdown' 'pub(super) fn auto_shutdown' \
  lifecycle '        self.settle(seq);
    }

    /// OTP' '        let it = self.children.get(seq).is_some_and(|c| c.spec.significant);
        self.settle(seq);
        if it && matches!(self.job.as_ref().map(|j| &j.why), Some(Why::Terminate { .. })) {
            self.auto_shutdown(seq);
        }
    }

    /// OTP'
mutant 11-temporary-spec-kept lifecycle "$gone" \
  'if simple || (child.spec.restart == Restart::Temporary && self.job.is_some()) {'
mutant 12-rest-for-one-restarts-all decide \
  'Strategy::RestForOne => (seq..ALL.end, seq..ALL.end)' 'Strategy::RestForOne => (ALL, ALL)'
mutant 13-restarting-significant-child-counts-as-ended decide \
  'matches!(child.life, Life::Undefined))' \
  'matches!(child.life, Life::Undefined | Life::Restarting { .. }))'

# Ours.
mutant 20-window-exclusive window '< tick)' '<= tick)'
mutant 21-timers-of-any-life-count lifecycle \
  'self.children.find_life(&timer.id, timer.incarnation)' 'self.children.find(&timer.id)' \
  lifecycle 'if child.epoch != timer.epoch {' 'if false {'
mutant 22-parallel-is-sequential job 'if self.stopping > 0 && !parallel {' 'if self.stopping > 0 {'
mutant 23-sequential-is-parallel job 'if self.stopping > 0 && !parallel {' 'if false {'
mutant 24-brutal-kill-asks lifecycle '== Shutdown::BrutalKill;' '!= child.spec.shutdown;'
mutant 25-late-start-counts lifecycle \
  'if matches!(child.life, Life::Starting { verdict: None })' \
  'if matches!(child.life, Life::Starting { .. })'
mutant 26-backoff-never-resets decide 'child.failures = 0;' ''
mutant 27-backoff-without-maximum backoff '.min(max) as u64' ' as u64' \
  backoff '.powi(power)).min(max)' '.powi(power))'
mutant 28-attempt-without-own-budget decide \
  '&& !child.window.admit(self.now, own, window)' '&& false'
mutant 29-lost-lane-charged exit 'Self::LaneLost => false,' 'Self::LaneLost => true,'
mutant 30-escalation-orderly exit 'matches!(self, Self::Normal |' \
  'matches!(self, Self::Escalated { .. } | Self::Normal |'
mutant 31-removed-child-s-lives-begin-again child \
  'self.floor = self.floor.max(child.incarnation);' ''
mutant 32-exit-while-busy-lost lifecycle \
  'self.deferred.push_back(Deferred::Exit { id, incarnation });' \
  'let _ = (id, incarnation);'
mutant 33-any-significant-waits-for-all decide 'AutoShutdown::AnySignificant => true' \
  'AutoShutdown::AnySignificant => all_ended()'
mutant 34-stop-waits-for-a-hanging-start lifecycle '        self.starting = false;
        if let Some(ms)' '        if let Some(ms)'
mutant 35-code-change-drops-the-removed api 'for child in old.into_iter().flatten() {' \
  'for child in old.into_iter().flatten().take(0) {'
mutant 36-ignored-temporary-kept lifecycle "$gone" \
  'if simple || (child.spec.restart == Restart::Temporary && child.last_exit.is_some()) {'
mutant 37-retry-ahead-of-what-waits decide 'self.set_timer(seq, TimerKind::Retry, delay);' \
  'self.set_timer(seq, TimerKind::Retry, delay);
        if delay == 0 {
            self.out.pop();
            let child = self.children.get(seq).cloned();
            if let Some(c) = child {
                let timer = super::event::Timer { id: c.id, incarnation: c.incarnation,
                    epoch: c.epoch, kind: TimerKind::Retry };
                self.deferred.push_front(super::supervisor::Deferred::Retry(timer));
            }
        }'
mutant 38-max-children-off-by-one api 'self.children.len() >= usize' 'self.children.len() > usize'
mutant 39-rules-not-heeded policy 'first.map_or(Action::Restart, |rule| rule.action)' \
  'first.map_or(Action::Restart, |_| Action::Restart)'
mutant 40-failed-restarts-heed-no-rule decide '        match action(&child.spec.rules, reason) {
            Action::Restart => self.schedule_retry' '        match Action::Restart {
            Action::Restart => self.schedule_retry'

echo "$((count - missed)) mutations caught, $missed missed"
[ "$missed" = 0 ] && [ "$count" -gt 0 ]
