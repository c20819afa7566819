#!/usr/bin/env bash
# Gives the active rustc a wasm standard library, on a machine where `rustup target add` cannot reach its server.
#
#   eval "$(agents/tools/guests-ci.sh [--own] CACHE_DIR [TARGET...])"       default target: wasm32-unknown-unknown
#
# Prints export lines for the shell (stdout); says what it does on stderr. Where the toolchain already has the target it
# prints nothing and builds nothing, unless --own asks for a library of our own: only two libraries made by this script
# from the same sources give guests of the same bytes.
#
# How: Debian keeps the sources of several rustc releases as `rust-src`; one of them must be exactly ours. They are
# unpacked into the cache (no root, the system's package lists stay as they are), `std` is built once for the target
# and laid out as a sysroot. Where the cache lies must not show in a guest: path prefixes are mapped away, and the
# crates are told apart by name and version, not by cargo's hash, which takes the path of the sources in.
#
# Must never: change the system's package sources, need root, hold the name of a server.
set -euo pipefail

say() { echo "guests-ci: $*" >&2; }
die() { say "$*"; exit 1; }

own=no
[ "${1:-}" = --own ] && { own=yes; shift; }
[ $# -ge 1 ] || die "usage: guests-ci.sh [--own] CACHE_DIR [TARGET...]"
mkdir -p "$1"; cache=$(cd "$1" && pwd -P); shift
[ $# -gt 0 ] || set -- wasm32-unknown-unknown

sysroot=$(rustc --print sysroot)
version=$(rustc -vV | sed -n 's/^release: //p')
commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
recipe=2                  # to be raised when a change below changes the library's bytes
build=$cache/std-$version-${commit:0:9}-$recipe
out=$build/sysroot

has_std() { compgen -G "$1/lib/rustlib/$2/lib/libstd-*.rlib" >/dev/null; }

# The first mirror that this machine's own package sources name, in the new format or in the old one.
mirror() {
  local dir=/etc/apt
  { awk '$1 == "URIs:" { print $2; exit }' "$dir"/sources.list.d/*.sources
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' \
      "$dir"/sources.list "$dir"/sources.list.d/*.list
  } 2>/dev/null | sed -n 1p || true   # awk minds a form that this machine does not have
}

# Unpacks Debian's rust-src of exactly this version to $1.
from_debian() {
  local apt=$cache/apt url suite deb
  url=$(mirror); [ -n "$url" ] || die "no Debian mirror found in this machine's package sources"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  for suite in trixie-backports trixie forky sid; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main"
  done > "$apt/sources.list"
  cat > "$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/none";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
CONF
  # A suite that does not exist (yet, or any more) is no reason to stop: the version is looked for in the others.
  APT_CONFIG=$apt/apt.conf apt-get -qq update >&2 || true
  deb=$(APT_CONFIG=$apt/apt.conf apt-cache madison rust-src | awk -v v="$version+" 'index($3, v) == 1 { print $3; exit }')
  [ -n "$deb" ] || die "no suite of the mirror has rust-src $version"
  (cd "$apt" && APT_CONFIG=$apt/apt.conf apt-get -qq download "rust-src=$deb" >&2)
  rm -rf "$1.part"; mkdir -p "$1.part"
  dpkg --fsys-tarfile "$apt"/rust-src_*.deb |
    tar x -C "$1.part" --strip-components=4 --wildcards './usr/src/rustc-*/library'
  rm -f "$apt"/rust-src_*.deb
  mv "$1.part" "$1"
}

# The library's sources at $1/library, from the toolchain if it carries them.
sources() {
  [ -f "$1/library/std/Cargo.toml" ] && return
  local have=$sysroot/lib/rustlib/src/rust/library
  if [ -f "$have/std/Cargo.toml" ]; then
    rm -rf "$1.part"; mkdir -p "$1.part"; cp -r "$have" "$1.part/library"; mv "$1.part" "$1"
  else
    from_debian "$1"
  fi
}

# What the library was made of: two machines with the same line give the same guests.
stamp() {
  local tree
  tree=$(cd "$1/library" && find . -type f \( -name '*.rs' -o -name '*.toml' -o -name Cargo.lock \) -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
  echo "rustc $version $commit, std of our own (recipe $recipe) from sources $tree"
}

build_std() {
  local target=$1 flags home lib prefix
  sources "$build/src"
  mkdir -p "$build/empty"; : > "$build/empty/lib.rs"
  printf '[package]\nname = "std-for-guests"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "empty/lib.rs"\n[workspace]\n' \
    > "$build/Cargo.toml"
  home=${CARGO_HOME:-$HOME/.cargo}
  flags=-Cembed-bitcode=yes
  flags+=$'\x1f'--remap-path-prefix=$build/src/library=/rustc/$commit/library
  # The registry's folder is named after its server: fetched first, so that the folder is there to be mapped.
  (cd "$build/src/library" && RUSTC_BOOTSTRAP=1 cargo fetch -q --locked --target "$target" >&2) ||
    die "the library's own dependencies could not be fetched"
  for prefix in "$home"/registry/src/*/; do
    [ -d "$prefix" ] && flags+=$'\x1f'--remap-path-prefix=${prefix%/}=/registry
  done
  cat > "$build/rustc" <<'WRAPPER'
#!/usr/bin/env bash
rustc=$1; shift; args=()
for arg; do
  case $arg in metadata=*) arg=metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION ;; esac
  args+=("$arg")
done
exec "$rustc" "${args[@]}"
WRAPPER
  chmod +x "$build/rustc"
  say "$target: building std $version (about a minute, once)"
  (cd "$build" && env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="$flags" RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER="$build/rustc" \
    __CARGO_TESTS_ONLY_SRC_ROOT="$build/src/library" CARGO_TARGET_DIR="$build/target" \
    cargo build -q --release -Zbuild-std=std,panic_abort --target "$target" >&2)
  lib=$out/lib/rustlib/$target/lib
  rm -rf "$lib.part"; mkdir -p "$lib.part"
  cp "$build/target/$target/release/deps/"*.rlib "$lib.part/"
  rm -f "$lib.part"/libstd_for_guests*.rlib
  stamp "$build/src" > "$out/loket-std"
  rm -rf "$lib"; mv "$lib.part" "$lib"
}

for target in "$@"; do
  if [ $own = no ] && has_std "$sysroot" "$target"; then
    say "$target: the toolchain has its own std"
    continue
  fi
  has_std "$out" "$target" || build_std "$target"
  name=$(echo "$target" | tr 'a-z-' 'A-Z_')
  echo "export CARGO_TARGET_${name}_RUSTFLAGS=--sysroot=$out"
done
