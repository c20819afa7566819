//! The kernel is frozen: its sources, the kernel actor's file, its public API and its dependencies
//! are what the last line of `kernel/FROZEN` says. To change the kernel on purpose:
//! `LOKET_FREEZE=1 cargo test -p loket-kernel --test frozen`, then `kernel N: why` in CHANGELOG.md.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Lines of all the sources together as they lie in the files, comments and blank lines too.
const MAX_LINES: usize = 1_000;
const MAX_FILES: usize = 9;
const MAX_ACTOR_LINES: usize = 150;
const ACTOR: &str = "actors/runtime/src/kernel_actor.rs";

struct File {
    name: String,
    text: String,
}

/// The checkout's root. Asked for when the test runs: `tests/mutations/tidy.sh` shows it broken
/// copies.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap().into()
}

fn read(name: &str) -> Option<File> {
    // Line ends are a matter of the checkout, not of the law.
    let text = std::fs::read_to_string(root().join(name)).ok()?.replace("\r\n", "\n");
    Some(File { name: name.into(), text })
}

fn sources() -> Vec<File> {
    let entries = std::fs::read_dir(root().join("kernel/src")).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        format!("kernel/src/{name}")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names.iter().map(|name| read(name).unwrap()).collect()
}

fn hash<'t>(parts: impl IntoIterator<Item = &'t str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].into()
}

/// Every line that begins a public item, a public field or a method of a public impl.
fn api(files: &[File]) -> Vec<&str> {
    let lines = files.iter().flat_map(|file| file.text.lines().map(str::trim));
    let mut items: Vec<&str> = lines.filter(|line| line.starts_with("pub ")).collect();
    items.sort_unstable();
    items
}

fn lines(files: &[File]) -> usize {
    files.iter().map(|file| file.text.lines().count()).sum()
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let lines = section.take_while(|line| !line.trim_start().starts_with('['));
    lines.filter_map(|line| line.split(['.', '=', ' ']).next()).filter(|n| !n.is_empty()).collect()
}

fn seal(version: usize, files: &[File], actor: Option<&File>, manifest: &str) -> String {
    let sources = hash(files.iter().flat_map(|file| [&*file.name, &*file.text]));
    let actor = actor.map_or("none".into(), |file| hash([&*file.text]));
    let lines = lines(files);
    let (api, needs) = (api(files), dependencies(manifest).join(","));
    let listing = hash(api.iter().copied());
    format!(
        "kernel={version} sources={sources} actor={actor} lines={lines} api={listing} items={} \
         dependencies={needs}",
        api.len()
    )
}

/// The seal of the kernel as it is now, with this version.
fn present(version: usize) -> String {
    let manifest = read("kernel/Cargo.toml").unwrap();
    seal(version, &sources(), read(ACTOR).as_ref(), &manifest.text)
}

#[test]
fn the_kernel_is_what_its_last_frozen_line_says() {
    let frozen = read("kernel/FROZEN").map_or(String::new(), |file| file.text);
    let lines: Vec<&str> = frozen.lines().filter(|line| !line.starts_with('#')).collect();
    for (at, line) in lines.iter().enumerate() {
        let version = at + 1;
        assert!(
            line.starts_with(&format!("kernel={version} ")),
            "FROZEN: line of kernel {version}: {line}"
        );
    }
    if lines.last() == Some(&present(lines.len()).as_str()) {
        return;
    }
    let next = present(lines.len() + 1);
    if std::env::var_os("LOKET_FREEZE").is_some() {
        let head =
            "# One line per kernel version, appended, never changed: see kernel/tests/frozen.rs.\n";
        let head = if frozen.is_empty() { head } else { "" };
        std::fs::write(root().join("kernel/FROZEN"), format!("{head}{frozen}{next}\n")).unwrap();
        return;
    }
    panic!(
        "the kernel is not what kernel/FROZEN says of it.\n  frozen: {}\n  now:    {next}\n\
         If that is meant, it is a new version of the law:\n\
         \x20 1. LOKET_FREEZE=1 cargo test -p loket-kernel --test frozen   (appends that line)\n\
         \x20 2. add a line `kernel {}: what changed and why` to CHANGELOG.md",
        lines.last().unwrap_or(&"nothing"),
        lines.len() + 1
    );
}

#[test]
fn every_version_of_the_kernel_has_a_line_in_the_changelog() {
    let (Some(frozen), Some(changelog)) = (read("kernel/FROZEN"), read("CHANGELOG.md")) else {
        return;
    };
    let versions =
        frozen.text.lines().filter_map(|line| line.strip_prefix("kernel=")?.split(' ').next());
    for version in versions {
        let wanted = format!("kernel {version}:");
        assert!(
            changelog.text.contains(&wanted),
            "CHANGELOG.md has no line `{wanted} why it changed`"
        );
    }
}

#[test]
fn the_kernel_stays_small_and_needs_nothing_but_serde() {
    let (files, manifest) = (sources(), read("kernel/Cargo.toml").unwrap());
    let lines = lines(&files);
    assert!(lines <= MAX_LINES, "{lines} lines in kernel/src, at most {MAX_LINES}");
    assert!(files.len() <= MAX_FILES, "{} files in kernel/src, at most {MAX_FILES}", files.len());
    assert_eq!(dependencies(&manifest.text), ["serde"]);
    assert!(files.iter().any(|file| file.text.contains("#![forbid(unsafe_code)]")));
    if let Some(actor) = read(ACTOR) {
        let lines = actor.text.lines().count();
        assert!(lines <= MAX_ACTOR_LINES, "{lines} lines in {ACTOR}, at most {MAX_ACTOR_LINES}");
    }
}

#[test]
fn any_change_breaks_the_seal() {
    let file = |text: &str| File { name: "kernel/src/a.rs".into(), text: text.into() };
    let manifest = "[dependencies]\nserde.workspace = true\n\n[dev-dependencies]\nblake3 = \"1\"\n";
    let sealed = seal(1, &[file("pub fn a();\n")], Some(&file("fn b() {}\n")), manifest);
    assert!(sealed.ends_with("items=1 dependencies=serde"), "{sealed}");
    let more = manifest.replace("\n\n", "\nother = \"1\"\n\n");
    let renamed = File { name: "kernel/src/b.rs".into(), ..file("pub fn a();\n") };
    for other in [
        seal(1, &[file("pub fn a(); \n")], Some(&file("fn b() {}\n")), manifest),
        seal(1, &[file("pub fn a();\n")], Some(&file("fn c() {}\n")), manifest),
        seal(1, &[file("pub fn a();\n")], None, manifest),
        seal(1, &[file("pub fn a();\n")], Some(&file("fn b() {}\n")), &more),
        seal(1, &[renamed], Some(&file("fn b() {}\n")), manifest),
    ] {
        assert_ne!(sealed, other);
    }
}
