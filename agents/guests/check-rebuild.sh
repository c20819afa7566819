#!/usr/bin/env bash
# Are the committed modules what their sources give? Builds them anew, elsewhere, and compares byte for byte.
#
# Ends with 0 when they are, 1 when they are not, and 77 (SKIPPED, said loudly) where it cannot be known: no wasm target
# on this machine, or another toolchain than the modules were built with. With CI=true a skip is an error.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)

skip() {
  echo "SKIPPED: $* (the committed guests were NOT compared with their sources)" >&2
  [ "${CI:-}" != true ] || { echo "check-rebuild: a skip is an error when CI=true" >&2; exit 1; }
  exit 77
}

(cd "$here/modules" && sha256sum --quiet -c SHA256SUMS) || { echo "FAILED: modules/ does not match its SHA256SUMS" >&2; exit 1; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# Another folder than the checkout's, so that a path that leaks into a module is found here and not by a stranger.
mkdir -p "$work/elsewhere/agents/sdk" "$work/out"
tar -C "$here/.." --exclude=target -c guests sdk/rust | tar -C "$work/elsewhere/agents" -x
code=0
CARGO_TARGET_DIR="$work/target" "$work/elsewhere/agents/guests/rebuild.sh" "$work/out" || code=$?
[ "$code" -ne 77 ] || skip "no wasm target for $(rustc -V)"
[ "$code" -eq 0 ] || { echo "FAILED: the guests do not build" >&2; exit 1; }

if ! diff -q "$here/modules/TOOLCHAIN" "$work/out/TOOLCHAIN" >/dev/null; then
  skip "built with $(cat "$here/modules/TOOLCHAIN"); here is $(cat "$work/out/TOOLCHAIN")"
fi
if ! diff "$here/modules/SHA256SUMS" "$work/out/SHA256SUMS" >&2; then
  echo "FAILED: a rebuild gives other bytes; run agents/guests/rebuild.sh and commit modules/" >&2
  exit 1
fi
echo "check-rebuild: $(wc -l < "$here/modules/SHA256SUMS") modules, the same bytes"
