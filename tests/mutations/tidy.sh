#!/usr/bin/env bash
# Breaks the kernel's seal, the layers and each "never knows" once, in a copy, and expects the named test to fail.
#
#   tests/mutations/tidy.sh [WORD]         only mutations whose name holds WORD
#
# A test that cannot fail holds nothing. The tests read manifests and sources when they run, so each is built once and run on
# every mutation of the copy. Ends with `N mutations caught, M missed`, and with 1 if any was missed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd -P)
only=${1:-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/copy
mkdir "$copy"
# What is tracked or could be: build output and data stay behind.
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
  tar --null --no-recursion -T - -c) | tar -x -C "$copy"
cp -r "$copy" "$work/pristine"

# Built where it always is: the tests ask for their folder when they run, so the copy needs no build of its own.
build() {
  (cd "$root" && cargo test -q --offline -p "$1" --test "$2" --no-run --message-format=json) |
    sed -n 's/.*"name":"'"$2"'".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
declare -A runs
runs[tidy]=$(build loket-tests tidy)
runs[frozen]=$(build loket-kernel frozen)
for name in tidy frozen; do
  [ -x "${runs[$name]}" ] || { echo "the test $name was not built" >&2; exit 1; }
done

# run BINARY ARGS...: the test, on the copy.
run() {
  local binary=$1
  shift
  (cd "$copy/tests" && CARGO_MANIFEST_DIR=$copy/tests RUST_BACKTRACE=0 "${runs[$binary]}" "$@" 2>&1)
}

caught=0
missed=0

# expect NAME BINARY TEST: the copy is broken now; the test must say so. Then the copy is mended.
expect() {
  local name=$1 binary=$2 test=$3 said
  if diff -rq "$work/pristine" "$copy" >/dev/null; then
    echo "MISSED  $name: the mutation changed nothing"
    missed=$((missed + 1))
    return
  fi
  if said=$(run "$binary" --exact "$test"); then
    echo "MISSED  $name: $test passed"
    missed=$((missed + 1))
  elif ! grep -qF "test $test ... FAILED" <<<"$said"; then
    echo "MISSED  $name: $test did not fail by itself"
    sed 's/^/        /' <<<"$said" | tail -n 5
    missed=$((missed + 1))
  else
    echo "caught  $name"
    caught=$((caught + 1))
  fi
  mend
}

mend() {
  rm -rf "$copy"
  cp -r "$work/pristine" "$copy"
}

wanted() { [[ -z $only || $1 == *"$only"* ]]; }

# add NAME TEST FILE LINE: a line at the file's end.
add() {
  wanted "$1" || return 0
  printf '%s\n' "$4" >> "$copy/$3"
  expect "$1" "${binary:-tidy}" "$2"
}

# edit NAME TEST FILE SED: an edit of the file.
edit() {
  wanted "$1" || return 0
  sed -i "$4" "$copy/$3"
  expect "$1" "${binary:-tidy}" "$2"
}

# depend TEST CRATE_FOLDER DEPENDENCY: one more dependency.
depend() {
  edit "$2 depends on $3" "$1" "$2/Cargo.toml" "/^\[dependencies\]/a $3.workspace = true"
}

# The unbroken copy must pass, or nothing that follows means anything.
for name in tidy frozen; do
  if ! said=$(run "$name"); then
    grep -E '^test .*FAILED|^  ' <<<"$said" >&2 || true
    echo "the unbroken checkout fails $name" >&2
    exit 1
  fi
done

# --- the kernel's seal
binary=frozen
add  "kernel source changed" the_kernel_is_what_its_last_frozen_line_says kernel/src/name.rs '// one more line'
add  "kernel actor changed" the_kernel_is_what_its_last_frozen_line_says actors/runtime/src/kernel_actor.rs '// one more line'
add  "kernel public item added" the_kernel_is_what_its_last_frozen_line_says kernel/src/name.rs 'pub fn more() {}'
edit "frozen line changed" the_kernel_is_what_its_last_frozen_line_says kernel/FROZEN 's/sources=./sources=x/'
edit "frozen line removed" the_kernel_is_what_its_last_frozen_line_says kernel/FROZEN '/^kernel=/d'
edit "changelog without the kernel" every_version_of_the_kernel_has_a_line_in_the_changelog CHANGELOG.md '/kernel 1:/d'
edit "kernel with a dependency" the_kernel_stays_small_and_needs_nothing_but_serde kernel/Cargo.toml '/^\[dependencies\]/a tokio.workspace = true'
edit "kernel without forbid(unsafe_code)" the_kernel_stays_small_and_needs_nothing_but_serde kernel/src/lib.rs 's/#!\[forbid(unsafe_code)\]//'
binary=tidy

# --- the layers
for edge in "kernel loket-supervision" "supervision loket-turn" "supervision loket-runtime" "actors/turn loket-supervision" \
  "actors/turn loket-ledger" "actors/ledger loket-runtime" "actors/runtime loket-contract" "actors/runtime loket-ledger" \
  "providers/contract loket-store" "providers/contract loket-host" "providers/store loket-llm" "providers/llm loket-fs" \
  "providers/fs loket-host" "providers/time loket-agent" "providers/agent loket-ledger" "providers/log loket-time" \
  "providers/chaos loket-agent" "agents/abi loket-kernel" "agents/host loket-store" "agents/host loket-ledger" \
  "benches loket-cli" "tests loket-kernel"; do
  depend layering::no_crate_sees_what_is_above_it ${edge}
done
for edge in "kernel thiserror" "supervision tokio" "actors/turn tokio" "agents/abi wasmtime"; do
  depend layering::the_pure_crates_have_no_other_dependencies ${edge}
done
for edge in "providers/contract actix" "actors/runtime rusqlite" "providers/fs wasmtime" "providers/llm axum" "agents/host rusqlite" \
  "providers/store clap" "cli rusqlite"; do
  depend layering::heavy_crates_stay_with_their_owners ${edge}
done
depend layering::nothing_heavy_comes_in_by_a_detour actors/turn tokio
depend layering::nothing_heavy_comes_in_by_a_detour actors/runtime rusqlite
edit "a guest with a dependency" layering::the_guests_know_nothing_of_ours_but_their_sdk agents/guests/reader/Cargo.toml \
  '/^\[dependencies\]/a serde = "1"'
if wanted "a crate without a row"; then
  cp -r "$copy/providers/chaos" "$copy/providers/extra"
  sed -i 's/loket-chaos/loket-extra/' "$copy/providers/extra/Cargo.toml"
  expect "a crate without a row" tidy layering::every_crate_has_its_place_in_the_layers
fi

# --- what each crate never knows
N=never::
add "kernel knows a clock" ${N}kernel_knows_no_clock_io_thread_or_lock kernel/src/scope.rs 'fn x() { std::time::Instant::now(); }'
add "kernel knows a file" ${N}kernel_knows_no_clock_io_thread_or_lock kernel/src/scope.rs 'use std::fs;'
add "kernel knows a lock" ${N}kernel_knows_no_clock_io_thread_or_lock kernel/src/scope.rs 'use std::sync::Mutex;'
add "supervision knows a thread" ${N}supervision_knows_no_clock_io_thread_or_future supervision/src/machine/job.rs 'use std::thread;'
add "supervision knows a clock" ${N}supervision_knows_no_clock_io_thread_or_future supervision/src/fleet/top.rs 'use std::time::SystemTime;'
add "supervision knows a future" ${N}supervision_knows_no_clock_io_thread_or_future supervision/src/fleet/top.rs 'async fn x() {}'
add "turn knows a file" ${N}turn_knows_no_clock_io_or_thread actors/turn/src/record.rs 'use std::fs;'
add "turn knows tokio" ${N}turn_knows_no_clock_io_or_thread actors/turn/src/record.rs 'use tokio::time;'
add "ledger knows an actor" ${N}ledger_knows_no_actor_and_no_guest actors/ledger/src/ops/end.rs 'use actix::Actor;'
add "ledger knows a guest" ${N}ledger_knows_no_actor_and_no_guest actors/ledger/src/ops/end.rs 'use wasmtime::Engine;'
add "runtime knows a database" ${N}runtime_knows_no_database_guest_engine_or_provider actors/runtime/src/slots.rs 'use rusqlite::Connection;'
add "runtime knows a provider" ${N}runtime_knows_no_database_guest_engine_or_provider actors/runtime/src/slots.rs 'use loket_store::StoreProvider;'
add "kernel actor reads grants" ${N}the_kernel_actor_decides_nothing actors/runtime/src/kernel_actor.rs 'use loket_kernel::Grant;'
add "supervisor waits for a child" ${N}the_supervisor_actor_waits_for_no_child actors/runtime/src/supervisor_actor/mod.rs \
  'async fn x(child: Child) { child.stopped().await; }'
add "contract knows a provider" ${N}contract_knows_no_provider_and_no_engine providers/contract/src/serve.rs 'use loket_llm::Llm;'
add "contract knows actix" ${N}contract_knows_no_provider_and_no_engine providers/contract/src/serve.rs 'use actix::Actor;'
add "a provider knows another" ${N}providers_know_no_other_provider_and_no_guest_engine providers/llm/src/model.rs 'use loket_fs::Fs;'
add "a provider knows wasmtime" ${N}providers_know_no_other_provider_and_no_guest_engine providers/time/src/civil.rs 'use wasmtime::Engine;'
add "llm knows sqlite" ${N}only_store_and_ledger_know_sqlite providers/llm/src/model.rs 'use rusqlite::Connection;'
add "llm changes the tree" ${N}the_tree_is_in_the_hands_of_agent_and_chaos_only providers/llm/src/model.rs 'use loket_runtime::TreeControl;'
add "host knows a provider" ${N}host_knows_no_provider_and_no_database agents/host/src/driver/services.rs 'use loket_store::StoreProvider;'
add "host knows sqlite" ${N}host_knows_no_provider_and_no_database agents/host/src/driver/services.rs 'use rusqlite::Connection;'
add "cli knows wasmtime" ${N}only_host_knows_wasmtime cli/src/exit.rs 'use wasmtime::Engine;'
add "abi knows an engine" ${N}abi_knows_no_engine agents/abi/src/lib.rs 'use wasmtime::Engine;'
add "engine knows an actor" ${N}the_engine_half_of_the_host_knows_no_actor agents/host/src/engine/types.rs 'use loket_runtime::Clock;'
add "a second clock" ${N}only_the_clock_files_read_a_clock providers/agent/src/args.rs 'fn x() { std::time::Instant::now(); }'
add "an unbounded queue" ${N}nobody_uses_the_unbounded_or_the_unaccountable providers/agent/src/args.rs 'fn x() { crossbeam_channel::unbounded(); }'
add "a message without an answer" ${N}nobody_uses_the_unbounded_or_the_unaccountable providers/log/src/scribe.rs 'fn x(a: A) { a.do_send(1); }'
add "a sleep" ${N}nobody_uses_the_unbounded_or_the_unaccountable agents/host/src/driver/end.rs 'fn x() { std::thread::sleep(y); }'

# --- the shape of the files
add "unsafe elsewhere" shape::unsafe_stays_in_the_files_that_need_it cli/src/exit.rs 'unsafe fn x() {}'
add "a long line" shape::lines_are_short cli/src/exit.rs "// $(printf 'x%.0s' {1..140})"
if wanted "a long file"; then
  for n in {1..400}; do echo "// line $n"; done >> "$copy/cli/src/exit.rs"
  expect "a long file" tidy shape::files_are_short
fi
edit "a file without a head" shape::every_file_says_first_what_it_is cli/src/exit.rs '/^\/\/!/d'
edit "a crate without lints" shape::every_crate_is_under_the_common_lints providers/time/Cargo.toml '/^\[lints\]/,+1d'
edit "a version of its own" shape::one_table_names_all_versions providers/time/Cargo.toml '/^\[dependencies\]/a itoa = "1"'
add "something left for later" shape::nothing_is_left_for_later cli/src/exit.rs "// TO""DO: later"
edit "a file that is only a promise" shape::nothing_is_left_for_later cli/src/exit.rs '1s/.*/\/\/! To come./'
add "a folder of one machine" shape::no_file_names_a_registry_or_a_folder_of_one_machine docs/metrics.md "See /ho""me/me/loket."

# --- metrics, pages, documents
edit "a metric that no page lists" metrics::every_metric_is_listed_for_users docs/metrics.md '/loket_drop_panics_total/d'
edit "a metric without help" metrics::every_metric_is_described_where_it_is_declared actors/runtime/src/metrics.rs '/describe_counter!(RESTARTS/d'
add "a metric's name elsewhere" metrics::metric_names_stand_in_metrics_files_only cli/src/exit.rs 'const X: &str = "loket_restarts_total";'
edit "a metric without a unit" metrics::names_end_with_their_unit actors/runtime/src/metrics.rs 's/loket_restarts_total/loket_restarts/'
if wanted "a code without a page"; then
  rm "$copy/docs/errors/K003.md"
  expect "a code without a page" tidy pages::every_code_has_a_page
fi
add "a page without a code" pages::every_page_has_a_code docs/errors/no_such_code.md '# no_such_code: x'
edit "a page without advice" pages::a_page_says_what_and_what_to_do docs/errors/K003.md '/^What to do/d'
edit "an exit code without a row" pages::every_exit_code_is_in_the_readme docs/errors/README.md '/^| 73 |/d'
edit "a promise of a test that is not there" docs::promises_name_tests_that_exist PROMISES.md 's/a_million_random_calls/two_million_calls/'
edit "a promise without a test" docs::every_promise_names_its_test PROMISES.md '0,/^Held by:/s//Hoped by:/'
edit "the architecture names a test that is not there" docs::the_architecture_names_tests_that_exist ARCHITECTURE.md 's/kernel_knows_no_clock/kernel_has_no_clock/'
edit "a crate without a section" docs::the_architecture_has_a_section_for_every_crate ARCHITECTURE.md '/^### `providers\/fs`/d'
add "a dead link" docs::links_lead_somewhere README.md '[more](docs/nowhere.md)'
add "a file that is not there" docs::files_that_the_documents_name_exist README.md 'See `docs/nowhere.md`.'
add "a document that is not here" docs::no_file_points_to_a_document_that_is_not_here cli/src/exit.rs "// See DES""IGN.md"
edit "no licence" docs::the_root_has_what_a_stranger_looks_for LICENSE 's/Apache License//'

echo "$caught mutations caught, $missed missed"
[ "$missed" -eq 0 ]
