#!/usr/bin/env bash
# Builds every guest for wasm and puts the modules, their sums and the name of the toolchain in modules/.
#
#   rebuild.sh [OUT_DIR]        OUT_DIR instead of modules/ (check-rebuild.sh compares the two)
#
# The same sources give the same bytes wherever the checkout, the home and cargo's cache are: every path that could
# reach a module is mapped to a fixed name, the flags are pinned here and in Cargo.toml, the versions in Cargo.lock.
# What remains is rustc and its std for wasm, written to TOOLCHAIN. Where the machine's rustc has no such std:
#
#   eval "$(agents/tools/guests-ci.sh --own .cache/guests)"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
out=${1:-$here/modules}; mkdir -p "$out"; out=$(cd "$out" && pwd -P)
target=wasm32-unknown-unknown
guests=(assistant echo gremlin librarian reader script)
max_bytes=150000          # a guest is to be committed, fetched and compiled without a thought

cd "$here"
# The std to use: what the environment names (guests-ci.sh), else the toolchain's own.
given=${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:-}
sysroot=${given#--sysroot=}
sysroot=${sysroot:-$(rustc --print sysroot)}
if ! compgen -G "$sysroot/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null; then
  echo "rebuild: no std for $target; see the head of this script" >&2
  exit 77                 # the customary code for a test that cannot be run here
fi

cargo fetch -q --locked --target "$target"
flags=--sysroot=$sysroot
add() { flags+=$'\x1f'$1; }
add "--remap-path-prefix=$(cd .. && pwd -P)=/loket/agents"
# The registry's folder is named after its server, the folders in it after crate and version.
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
  add "--remap-path-prefix=${registry%/}=/registry"
done
add "--remap-path-prefix=$(rustc --print sysroot)=/rust"
# Nothing else from the environment may reach the compiler.
env -u RUSTFLAGS -u CARGO_BUILD_RUSTFLAGS -u RUSTC_WRAPPER CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_INCREMENTAL=0 \
  cargo build -q --release --locked --target "$target" "${guests[@]/#/--package=}"

built=${CARGO_TARGET_DIR:-$here/target}/$target/release
for guest in "${guests[@]}"; do
  size=$(stat -c %s "$built/$guest.wasm")
  [ "$size" -le "$max_bytes" ] || { echo "rebuild: $guest is $size bytes, more than $max_bytes" >&2; exit 1; }
  cp "$built/$guest.wasm" "$out/$guest.wasm"
done
(cd "$out" && sha256sum "${guests[@]/%/.wasm}" > SHA256SUMS)
if [ -f "$sysroot/loket-std" ]; then
  cat "$sysroot/loket-std"
else
  rustc -vV | awk '/^release:/ { v = $2 } /^commit-hash:/ { h = $2 } END { print "rustc " v " " h ", std of the toolchain" }'
fi > "$out/TOOLCHAIN"
