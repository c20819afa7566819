#!/usr/bin/env bash
# Lets cargo-mutants break the pure crates, one expression at a time, and expects their tests to go red.
#
#   tests/mutants/run.sh [kernel|machine|fleet]...     all three, if none is named
#   ONLY=job.rs tests/mutants/run.sh machine           mutants of these files only (a glob)
#   SHARD=3/20 tests/mutants/run.sh kernel             one part of twenty (0/20 to 19/20)
#   FRESH=1 tests/mutants/run.sh                       forgets what earlier runs found
#   KEEP=1 tests/mutants/run.sh                        what was caught stays caught, though sources or tests have changed
#
# kernel: kernel/src. machine: supervision/src/machine. fleet: supervision/src/fleet. Needs cargo-mutants 27; installs nothing.
# A run that was stopped goes on where it was: what it found is kept in target/mutants, until sources or tests change.
# kernel/tests/frozen.rs is left out: it fails on any change of the sources, and so says nothing about the other tests.
#
# A mutant that no test can catch stands in tests/mutants/accepted.txt with the reason. Ends with `N mutants caught, M missed`
# and with 1 if a survivor is not listed, or a listed one is caught or no longer there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd -P)
accepted=$root/tests/mutants/accepted.txt
export PROPERTY_CASES=${PROPERTY_CASES:-200} PROPTEST_CASES=${PROPTEST_CASES:-64} RUST_BACKTRACE=0 CARGO_TERM_COLOR=never
# Nobody debugs a mutant, and line tables cost time to link.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_NET_OFFLINE=true
# Seconds that the tests of a mutant may take at least: several times what they take on a busy machine.
timeout=${MUTANT_TIMEOUT:-30}
# Kilobytes of address space: a mutant that loops and allocates must not take the machine with it.
memory=8388608

command -v cargo-mutants >/dev/null || { echo "cargo-mutants is not there: cargo install --locked cargo-mutants@27" >&2; exit 2; }

# The crates of SET, and nothing else of the workspace, in $tree.
scratch() {
  rm -rf "$tree"/{kernel,supervision,docs,Cargo.toml,Cargo.lock}
  mkdir -p "$tree/docs"
  local crates=(kernel)
  [ "$1" = kernel ] || crates+=(supervision)
  for crate in "${crates[@]}"; do cp -r "$root/$crate" "$tree/"; done
  rm "$tree/kernel/tests/frozen.rs"
  case $1 in
    machine)
      # The machine alone: the rest only costs time here.
      find "$tree"/supervision/src -mindepth 1 -maxdepth 1 ! -name machine ! -name visible.rs -exec rm -r {} +
      printf '//! The machine.\npub mod machine;\nmod visible;\npub use visible::visible;\n' > "$tree/supervision/src/lib.rs"
      find "$tree"/supervision/tests -maxdepth 1 -name '*.rs' ! -name 'machine_*' -exec rm {} + ;;
    fleet)
      cp -r "$root/docs/errors" "$tree/docs/"
      rm "$tree"/supervision/tests/machine_*.rs ;;
  esac
  one_binary "$tree/${package#loket-}"
  sed -e '/^members = \[/,/^\]/c members = ["'"$(sed 's/ /", "/' <<<"${crates[*]}")"'"]' \
      -e '/^default-members/d' -e '/^exclude/d' "$root/Cargo.toml" > "$tree/Cargo.toml"
  cp "$root/Cargo.lock" "$tree/"
}

# All tests of a crate in one binary, and nothing else to build: what a mutant costs is mostly building.
one_binary() {
  local file
  for file in "$1"/tests/*.rs; do
    printf '#[path = "%s"]\nmod %s;\n' "$(basename "$file")" "$(basename "$file" .rs)"
  done > "$1/all.rs"
  mv "$1/all.rs" "$1/tests/"
  sed -i 's/^\[package\]$/&\nautotests = false\nautoexamples = false/' "$1/Cargo.toml"
  printf '\n[lib]\ntest = false\ndoctest = false\n\n[[test]]\nname = "all"\npath = "tests/all.rs"\n' >> "$1/Cargo.toml"
}

# What a run's findings depend on.
fingerprint() {
  (cd "$tree" && rustc -V && echo "$PROPERTY_CASES $PROPTEST_CASES" &&
    find . -path ./target -prune -o -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum
}

# Names of mutants, as accepted.txt has them: the line of the source instead of its number.
named() {
  perl -ne 'chomp; next unless my ($file, $line, $what) = /^(\S+?):(\d+):\d+: (.*)$/;
    open my $in, "<", "'"$tree"'/$file" or die "$file: $!"; my @lines = <$in>;
    (my $source = $lines[$line - 1]) =~ s/^\s+|\s+$//g; print "$file: $what | $source\n"' | sort
}

# The entries of accepted.txt for the files of SET. An entry without a reason is none.
listed() {
  awk '/^#/ || /^$/ { next } /^ / { if (key != "") print key; key = ""; next } { key = $0 }' "$accepted" |
    { grep -F "$1" || true; } | sort
}

# What the last run of cargo-mutants found is kept: what did not compile apart, and what ran too long among what was caught.
keep() {
  mkdir -p "$out"
  touch "$state"/{unviable,timeout} "$out"/{unviable,timeout,caught,previously_caught,missed}.txt
  sort -u -o "$state/unviable" "$state/unviable" "$out/unviable.txt"
  sort -u -o "$state/timeout" "$state/timeout" "$out/timeout.txt"
  cat "$out/timeout.txt" >> "$out/caught.txt"
}

# cargo-mutants on what is not caught yet, without the tests of the first argument.
try() {
  local skip=${1:+-- -- --skip $1} code=0
  shift
  keep
  # $skip is several words.
  # shellcheck disable=SC2086
  (ulimit -v $memory; exec nice -n 19 cargo mutants "$@" --in-place --iterate --cap-lints=true -o "$state" \
    --minimum-test-timeout "$timeout" $skip) || code=$?
  keep
  case $code in 0 | 2 | 3) ;; *) echo "$set: cargo-mutants ended with $code; run it again to go on" >&2; exit 2 ;; esac
}

caught=0
missed=0
run() {
  local set=$1 package files slow state out total done
  case $set in
    kernel) package=loket-kernel files='kernel/src/' slow='spread a_million attenuation' ;;
    machine) package=loket-supervision files='supervision/src/machine/' slow='replay thousand' ;;
    fleet) package=loket-supervision files='supervision/src/fleet/' slow='mutated' ;;
    *) echo "no such set: $set (kernel, machine, fleet)" >&2; exit 2 ;;
  esac
  state=$root/target/mutants/$set${SHARD:+-shard} tree=$root/target/mutants/tree-$set out=$state/mutants.out
  mkdir -p "$state"
  scratch "$set"
  if [ -n "${FRESH:-}${SHARD:-}" ] || { [ -z "${KEEP:-}" ] && ! fingerprint | cmp -s - "$state/key"; }; then rm -rf "$state"/*; fi
  fingerprint > "$state/key"

  local which=(-d "$tree" --no-config -p "$package" -f "${files}${ONLY:-**}" ${SHARD:+--shard "$SHARD" --sharding round-robin})
  cargo mutants "${which[@]}" --list > "$state/all"
  total=$(wc -l < "$state/all")
  [ "$total" -gt 0 ] || { echo "$set: no mutants there" >&2; exit 2; }
  # First without the tests that take long; what survives is tried again with all of them.
  try "${slow// / --skip }" "${which[@]}"
  try '' "${which[@]}"

  # Only what is in scope now: with ONLY, the state knows more.
  local caught_here viable_not timeouts
  counted() { cat "$@" | sort -u | grep -cxFf "$state/all" || true; }
  timeouts=$(counted "$state/timeout")
  viable_not=$(counted "$state/unviable")
  caught_here=$(($(counted "$out/previously_caught.txt" "$out/caught.txt" "$state/unviable") - viable_not))
  named < "$out/missed.txt" > "$state/survivors"
  done=$((caught_here + viable_not + $(wc -l < "$state/survivors")))
  [ "$done" -eq "$total" ] || { echo "$set: only $done of $total mutants were tried; run it again to go on" >&2; exit 2; }

  named < "$state/all" > "$state/scope"
  listed "$files" > "$state/listed"
  local new gone
  new=$(comm -23 "$state/survivors" "$state/listed")
  # Of the listed: those that were tried and caught, and those that are no mutants any more.
  gone=$(comm -13 "$state/survivors" "$state/listed" | comm -12 - "$state/scope")
  [ -n "${ONLY:-}${SHARD:-}" ] || gone=$(comm -13 "$state/survivors" "$state/listed")
  [ -z "$new" ] || sed 's/^/SURVIVED, not in accepted.txt: /' <<<"$new"
  [ -z "$gone" ] || sed 's/^/LISTED in accepted.txt, but caught or gone: /' <<<"$gone"
  echo "$set: $total mutants: $caught_here caught ($timeouts by their time), $viable_not do not compile," \
    "$(wc -l < "$state/survivors") survive"
  caught=$((caught + caught_here))
  missed=$((missed + $(grep -c . <<<"$new" || true) + $(grep -c . <<<"$gone" || true)))
}

[ $# -gt 0 ] || set -- kernel machine fleet
for set in "$@"; do run "$set"; done
echo "$caught mutants caught, $missed missed"
[ "$missed" -eq 0 ]
