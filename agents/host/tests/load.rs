//! What is taken as a guest and what is refused, in words; and the cache of compiled modules.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loket_host::engine::{Cache, Cause, EngineConfig, LoadError, LoadLimits, Module, RunLimits};
use support::{Script, echoes, engine, message, run};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

fn load(bytes: &[u8]) -> Result<Module, LoadError> {
    engine().load(bytes, &LoadLimits::default(), None)
}

/// The echo guest as a component, made by the component tools and not by the host.
fn component(core: &str, more_wit: &str, imports: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_str("loket.wit", loket_abi::WIT).unwrap();
    if !more_wit.is_empty() {
        resolve.push_str("more.wit", more_wit).unwrap();
    }
    let world =
        format!("package test:guest; world w {{ include loket:agent/agent@1.0.0; {imports} }}");
    let package = resolve.push_str("test.wit", &world).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut core = wat::parse_str(core).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&core).unwrap().encode().unwrap()
}

#[tokio::test]
async fn text_core_module_and_component_are_all_guests() {
    let core = wat::parse_str(loket_abi::ECHO_WAT).unwrap();
    let component = component(loket_abi::ECHO_WAT, "", "");
    for bytes in [loket_abi::ECHO_WAT.as_bytes(), &core, &component] {
        let module = load(bytes).unwrap();
        echoes(&module).await;
        assert_eq!(module.hash(), *blake3::hash(bytes).as_bytes());
        assert!(module.imports().iter().any(|i| i.starts_with("loket:agent/counter@1.0.0")));
    }
}

const WASI: &str =
    "package wasi:cli@0.2.0; interface exit { exit: func(code: u32); resource door; }";

fn exits(call: &str) -> String {
    loket_abi::ECHO_WAT
        .replacen(
            "(memory",
            "(import \"wasi:cli/exit@0.2.0\" \"exit\" (func $exit (param i32))) (memory",
            1,
        )
        .replacen("(if (call $asks", &format!("{call} (if (call $asks"), 1)
}

#[tokio::test]
async fn wasi_is_denied_when_called_and_not_before() {
    let quiet = component(&exits(""), WASI, "import wasi:cli/exit@0.2.0;");
    let quiet = load(&quiet).unwrap();
    assert!(quiet.imports().contains(&"wasi:cli/exit@0.2.0".to_owned()));
    echoes(&quiet).await;
    let loud = component(&exits("(call $exit (i32.const 1))"), WASI, "import wasi:cli/exit@0.2.0;");
    let loud = load(&loud).unwrap();
    let error = run(&loud, &RunLimits::default(), message(b""), &mut Script::default()).await;
    let cause = error.unwrap_err().cause;
    assert_eq!(cause, Cause::Denied { import: "wasi:cli/exit@0.2.0#exit".into() });
}

#[test]
fn a_component_with_any_other_import_is_refused_by_name() {
    let other = WASI.replace("wasi:cli", "acme:disk");
    let core = exits("").replace("wasi:cli", "acme:disk");
    let bytes = component(&core, &other, "import acme:disk/exit@0.2.0;");
    let error = load(&bytes).unwrap_err();
    assert_eq!(error, LoadError::ForeignImport { import: "acme:disk/exit@0.2.0".into() });
    let bare = wat::parse_str(r#"(component (import "f" (func)))"#).unwrap();
    assert_eq!(load(&bare).unwrap_err(), LoadError::ForeignImport { import: "f".into() });
    // Another version of the contract is not this one.
    let newer = wat::parse_str(r#"(component (import "loket:agent/counter@1.1.0" (instance)))"#);
    let error = load(&newer.unwrap()).unwrap_err();
    assert_eq!(error, LoadError::ForeignImport { import: "loket:agent/counter@1.1.0".into() });
}

#[test]
fn what_is_no_module_is_said_so() {
    let cut = &wat::parse_str(loket_abi::ECHO_WAT).unwrap()[..100];
    let cases: [(&[u8], &str); 9] = [
        (b"", "M001"),
        (b"#!/bin/sh\n", "M001"),
        (b"\xff\xfe\x00", "M001"),
        (b"\0asm", "M001"),
        (b"\0asm\x02\0\0\0", "M001"),
        (b"(module", "M002"),
        (cut, "M008"),
        (b"(component)", "M006"),
        (br#"(component (core module $m (func (export "handle"))) (core instance $i (instantiate $m))
            (func $h (canon lift (core func $i "handle"))) (export "handle" (func $h)))"#, "M007"),
    ];
    for (bytes, code) in cases {
        let error = load(bytes).unwrap_err();
        assert_eq!(error.code(), code, "{}: {error}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn sizes_are_bounded_before_anything_is_compiled() {
    let bytes = loket_abi::ECHO_WAT.as_bytes();
    let limits = LoadLimits { module_bytes: bytes.len() - 1, ..LoadLimits::default() };
    let error = engine().load(bytes, &limits, None).unwrap_err();
    assert_eq!(error, LoadError::TooLarge { bytes: bytes.len(), max: bytes.len() - 1 });
    let limits = LoadLimits { functions: 3, ..LoadLimits::default() };
    let error = engine().load(bytes, &limits, None).unwrap_err();
    assert_eq!(error, LoadError::TooManyFunctions { max: 3 });
    let limits = LoadLimits { function_bytes: 20, ..LoadLimits::default() };
    let error = engine().load(bytes, &limits, None).unwrap_err();
    assert_eq!(error.code(), "M010", "{error}");
    let limits = LoadLimits { functions: 4, ..LoadLimits::default() };
    engine().load(bytes, &limits, None).unwrap();
}

#[test]
fn every_message_says_what_to_do() {
    assert_eq!(EngineConfig::default().slots, 1_000);
    let error = load(&support::hostile("big-minimum")).unwrap_err();
    assert!(error.to_string().contains("lower its initial memory"), "{error}");
    let error = load(&support::hostile("foreign-import")).unwrap_err();
    assert!(error.to_string().contains("wasm32-unknown-unknown"), "{error}");
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect()
}

#[tokio::test]
async fn the_cache_gives_back_what_was_compiled_and_repairs_what_was_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("modules");
    let cache = Cache::new(&dir).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let bytes = loket_abi::ECHO_WAT.as_bytes();
    let limits = LoadLimits::default();
    engine().load(bytes, &limits, Some(&cache)).unwrap();
    let [entry] = &entries(&dir)[..] else { panic!("{:?}", entries(&dir)) };
    let good = std::fs::read(entry).unwrap();

    // A hit does not write: the mark of the inode stays.
    let before = std::fs::metadata(entry).unwrap();
    echoes(&engine().load(bytes, &limits, Some(&cache)).unwrap()).await;
    assert_eq!(inode(&std::fs::metadata(entry).unwrap()), inode(&before));

    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut key = good.clone();
    key[8] ^= 1;
    let cut = good[..good.len() / 2].to_vec();
    for spoilt in [flipped, key, cut, Vec::new(), b"something else".to_vec()] {
        std::fs::write(entry, &spoilt).unwrap();
        echoes(&engine().load(bytes, &limits, Some(&cache)).unwrap()).await;
        assert_eq!(std::fs::read(entry).unwrap(), good, "rewritten");
        assert_eq!(entries(&dir).len(), 1, "no temporary file is left");
    }
}

#[test]
fn an_entry_of_another_module_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path()).unwrap();
    let limits = LoadLimits::default();
    engine().load(loket_abi::ECHO_WAT.as_bytes(), &limits, Some(&cache)).unwrap();
    let [echo] = &entries(folder.path())[..] else { panic!("one entry") };
    let foreign = std::fs::read(echo).unwrap();
    let trap = support::hostile("trap");
    engine().load(&trap, &limits, Some(&cache)).unwrap();
    let other = entries(folder.path()).into_iter().find(|e| e != echo).unwrap();
    let own = std::fs::read(&other).unwrap();
    std::fs::write(&other, &foreign).unwrap();
    engine().load(&trap, &limits, Some(&cache)).unwrap();
    assert!(std::fs::read(&other).unwrap() == own, "replaced by its own");
}

#[test]
fn a_link_or_a_file_is_no_cache_folder() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(Cache::new(&link).unwrap_err().code(), "M081");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(Cache::new(&file).unwrap_err().code(), "M080");
}

fn inode(m: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (m.ino(), m.mtime(), m.mtime_nsec())
}
