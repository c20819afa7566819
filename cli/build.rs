//! Gathers `docs/errors/*.md` into one table for `loket explain`, so that a page is a file and nothing else.

use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() {
    let pages =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut files: Vec<_> = fs::read_dir(&pages)
        .expect("docs/errors is part of the source")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "README"))
        .collect();
    files.sort();
    let mut table =
        String::from("/// Code and page, sorted by code.\nconst PAGES: &[(&str, &str)] = &[\n");
    for file in files {
        let code = file.file_stem().and_then(|stem| stem.to_str()).expect("codes are ASCII");
        writeln!(
            table,
            "    ({code:?}, include_str!({:?})),",
            file.canonicalize().expect("it exists")
        )
        .expect("strings grow");
    }
    table.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("pages.rs");
    fs::write(out, table).expect("OUT_DIR can be written");
}
