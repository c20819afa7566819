//! Modules compiled in a process apart, seen from the side that asks: what it takes as an answer, and what it makes of a process
//! that is lost. The programs are scripts that do to it what a hostile module, or the machine, might do to a compiler.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loket_host::engine::{
    Cache, Compiler, Engine, EngineConfig, LoadError, LoadLimits, Made, Module, Order, carry_out,
};
use support::{echoes, engine, hostile, hostile_names};

/// Long enough for a shell on a busy machine; only a script that hangs is meant to reach a bound, and has its own.
const LONG: Duration = Duration::from_secs(60);

/// An engine whose modules are compiled by a script.
fn by(script: &str) -> Engine {
    let compiler = Compiler::new("/bin/sh", &["-c", script, "sh"]).within(LONG);
    engine().clone().compiled_by(compiler)
}

fn load(engine: &Engine, bytes: &[u8], cache: &Cache) -> Result<Module, LoadError> {
    engine.load(bytes, &LoadLimits::default(), Some(cache))
}

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("modules")).unwrap();
    (folder, cache)
}

fn entries(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("modules")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What a process apart answers about a module, in a file.
fn answer(to: &Path, module: &[u8]) {
    let memory_bytes = EngineConfig::default().memory_bytes;
    let order = Order { memory_bytes, limits: LoadLimits::default() };
    let mut said = Vec::new();
    carry_out(&order, module, &mut said).unwrap();
    std::fs::write(to, said).unwrap();
}

#[tokio::test]
async fn a_compiler_that_is_lost_costs_the_module_and_nothing_else() {
    let running = support::echo();
    for (script, words) in [
        ("kill -SEGV $$", "crashed"),
        ("kill -KILL $$", "it was killed"),
        ("kill -XCPU $$", "processor time"),
        ("cat >/dev/null; echo no room >&2; exit 3", "exit code 3; it said: no room"),
        ("cat >/dev/null; echo '{\"code\":\"M008\",\"message\":\"x\"}'; exit 3", "exit code 3"),
        ("cat >/dev/null; echo hello", "cannot be read"),
        ("cat >/dev/null", "cannot be read"),
        // It never looks at what it is given.
        ("exec <&-; echo hello", "cannot be read"),
        // A refusal that only the fleet's own look can find, and one that is none.
        ("cat >/dev/null; echo '{\"code\":\"M003\",\"message\":\"x\"}'", "cannot be read"),
        ("cat >/dev/null; echo '{\"code\":\"M008\"}'", "cannot be read"),
        ("cat >/dev/null; printf LOKETAO1", "not for this module"),
        ("cat >/dev/null; printf LOKETAO1; head -c 100000 /dev/zero", "not for this module"),
        ("cat >/dev/null; head -c 300000000 /dev/zero", "it made more than"),
    ] {
        let (folder, cache) = cache();
        let error = load(&by(script), &hostile("trap"), &cache).unwrap_err();
        assert_eq!(error.code(), "M011", "{script}: {error}");
        assert!(error.to_string().contains(words), "{script}: {error}");
        assert_eq!(entries(&folder), [] as [PathBuf; 0], "{script}");
        echoes(&running).await;
    }
}

#[test]
fn a_compiler_that_hangs_is_killed_with_all_that_it_has_started() {
    for script in ["exec sleep 100000", "sleep 100000 & sleep 100000", "exec sleep 100000 >&- 2>&-"]
    {
        let compiler = Compiler::new("/bin/sh", &["-c", script, "sh"]);
        let engine = engine().clone().compiled_by(compiler.within(Duration::from_millis(50)));
        // It returns at all: whoever is left would hold the pipes for a day.
        let (_folder, cache) = cache();
        let error = load(&engine, &hostile("trap"), &cache).unwrap_err();
        assert_eq!(error.code(), "M011", "{script}: {error}");
        assert!(error.to_string().contains("had not ended after 0.05 s"), "{script}: {error}");
    }
}

#[tokio::test]
async fn what_it_made_is_taken_kept_and_found_at_the_next_start() {
    let (folder, cache) = cache();
    let bytes = loket_abi::ECHO_WAT.as_bytes();
    let told = folder.path().join("answer");
    answer(&told, bytes);
    // The question is the module's bytes as they are, and the order.
    let asked = folder.path().join("asked");
    let script = format!("cat >{asked:?}; echo \"$@\" >>{asked:?}; cat {told:?}");
    let module = load(&by(&script), bytes, &cache).unwrap();
    assert_eq!(module.made(), Made::Apart);
    echoes(&module).await;
    let limits = LoadLimits::default();
    let order = Order { memory_bytes: EngineConfig::default().memory_bytes, limits };
    let question = [bytes, order.arguments().join(" ").as_bytes(), b"\n"].concat();
    assert_eq!(std::fs::read(&asked).unwrap(), question);

    let [entry] = &entries(&folder)[..] else { panic!("{:?}", entries(&folder)) };
    assert_eq!(std::fs::read(entry).unwrap(), std::fs::read(&told).unwrap());
    let again = load(&by("exit 1"), bytes, &cache).unwrap();
    assert_eq!(again.made(), Made::Before);
    echoes(&again).await;
    // Without a place to keep it, it is taken all the same.
    let module = by(&script).load(bytes, &limits, None).unwrap();
    assert_eq!(module.made(), Made::Apart);
    echoes(&module).await;
}

#[test]
fn an_answer_about_another_module_is_not_taken() {
    let (folder, cache) = cache();
    let told = folder.path().join("answer");
    answer(&told, loket_abi::ECHO_WAT.as_bytes());
    let script = format!("cat >/dev/null; cat {told:?}");
    let error = load(&by(&script), &hostile("trap"), &cache).unwrap_err();
    assert_eq!(error.code(), "M011", "{error}");
    assert_eq!(entries(&folder), [] as [PathBuf; 0]);
}

#[test]
fn a_refusal_is_the_same_from_a_process_apart() {
    let (folder, cache) = cache();
    let told = folder.path().join("answer");
    let script = format!("cat >/dev/null; cat {told:?}");
    let apart = by(&script);
    let mut modules: Vec<_> = hostile_names().iter().map(|name| hostile(name)).collect();
    modules.extend(
        [
            &b"(module"[..],
            b"\0asm\x01\0\0\0\x01",
            // It passes the look, and the world does not fit.
            br#"(module (memory (export "memory") 1) (func (export "cabi_realloc"))
                (func (export "handle")))"#,
        ]
        .map(<[u8]>::to_vec),
    );
    let mut seen = BTreeMap::new();
    for module in &modules {
        answer(&told, module);
        let here = engine().load(module, &LoadLimits::default(), None).err();
        assert_eq!(load(&apart, module, &cache).err(), here);
        *seen.entry(here.as_ref().map_or("", LoadError::code)).or_insert(0) += 1;
    }
    // Each of those that only the compiler can find has been told.
    for code in ["", "M007", "M008", "M009"] {
        assert!(seen.contains_key(code), "{code}: {seen:?}");
    }
}

#[test]
fn a_program_that_cannot_be_started_leaves_it_to_this_process() {
    let (_folder, cache) = cache();
    let engine = engine().clone().compiled_by(Compiler::new("/nowhere/loket", &[]));
    let module = load(&engine, &hostile("trap"), &cache).unwrap();
    assert_eq!(module.made(), Made::Here);
}

#[test]
fn it_inherits_nothing_of_the_environment() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "something to inherit");
    let (_folder, cache) = cache();
    let script = "cat >/dev/null; [ -z \"$CARGO_MANIFEST_DIR$HOME$USER\" ] && exit 7; exit 8";
    let error = load(&by(script), &hostile("trap"), &cache).unwrap_err();
    assert!(error.to_string().contains("exit code 7"), "{error}");
}
