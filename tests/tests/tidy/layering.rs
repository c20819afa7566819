//! Who depends on whom, against [`crate::layers`]. What may not come in by a detour is read from cargo's own resolve.

use crate::cargo::metadata;
use crate::layers::{OWNERS, PURE, ROWS};
use crate::none;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A dependency as a manifest names it: crate and whether only tests need it.
type Edge = (String, bool);

/// Every crate of the workspace: its folder and the dependencies it names.
fn manifests() -> BTreeMap<String, (String, Vec<Edge>)> {
    let all = metadata(false);
    let root = all["workspace_root"].as_str().unwrap().to_owned();
    let packages = all["packages"].as_array().unwrap();
    let read = |package: &Value| {
        let manifest = package["manifest_path"].as_str().unwrap();
        let folder = manifest.strip_prefix(&root).unwrap().trim_matches('/');
        let folder = folder.trim_end_matches("/Cargo.toml").to_owned();
        let edges = package["dependencies"].as_array().unwrap().iter();
        let edges = edges.map(|edge| {
            (edge["name"].as_str().unwrap().to_owned(), edge["kind"].as_str() == Some("dev"))
        });
        (package["name"].as_str().unwrap().to_owned(), (folder, edges.collect()))
    };
    packages.iter().map(read).collect()
}

#[test]
fn every_crate_has_its_place_in_the_layers() {
    let found = manifests();
    let there: BTreeSet<(&str, &str)> =
        found.iter().map(|(name, (folder, _))| (name.as_str(), folder.as_str())).collect();
    let rows: BTreeSet<(&str, &str)> = ROWS.iter().map(|row| (row.name, row.folder)).collect();
    assert_eq!(there, rows, "the crates (left) and the rows of layering.rs (right)");
}

#[test]
fn no_crate_sees_what_is_above_it() {
    let found = manifests();
    let mut wrong = Vec::new();
    for row in &ROWS {
        let Some((_, edges)) = found.get(row.name) else { continue };
        for (to, _) in edges.iter().filter(|(to, _)| to.starts_with("loket-")) {
            if !row.ours.contains(&to.as_str()) {
                wrong.push(format!("{} may not depend on {to}", row.name));
            }
        }
    }
    none("a crate sees only what is below it (ARCHITECTURE.md, code map)", wrong);
}

#[test]
fn the_pure_crates_have_no_other_dependencies() {
    let found = manifests();
    let mut wrong = Vec::new();
    for row in &ROWS {
        let (Some(only), Some((_, edges))) = (row.only, found.get(row.name)) else { continue };
        let theirs = edges.iter().filter(|(to, dev)| !dev && !to.starts_with("loket-"));
        for (to, _) in theirs.filter(|(to, _)| !only.contains(&to.as_str())) {
            wrong.push(format!("{} may not depend on {to}, only on {only:?}", row.name));
        }
    }
    none("a pure crate names all it depends on in layering.rs", wrong);
}

#[test]
fn heavy_crates_stay_with_their_owners() {
    let mut wrong = Vec::new();
    for (name, (_, edges)) in manifests() {
        for (to, dev) in edges {
            let Some((_, owners, testers)) = OWNERS.iter().find(|(heavy, ..)| *heavy == to) else {
                continue;
            };
            let allowed = owners.contains(&&*name) || (dev && testers.contains(&&*name));
            if !allowed {
                wrong.push(format!("{name} may not depend on {to}"));
            }
        }
    }
    none("one crate per heavy dependency", wrong);
}

/// What each crate reaches through dependencies that are built into it: name → names.
fn reach() -> BTreeMap<String, BTreeSet<String>> {
    let all = metadata(true);
    let names: BTreeMap<&str, &str> = all["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let built_in = |dep: &&Value| {
        let kinds = dep["dep_kinds"].as_array().unwrap();
        kinds.iter().any(|kind| kind["kind"].is_null())
    };
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in all["resolve"]["nodes"].as_array().unwrap() {
        let deps = node["deps"].as_array().unwrap().iter().filter(built_in);
        let deps = deps.map(|dep| dep["pkg"].as_str().unwrap());
        next.insert(node["id"].as_str().unwrap(), deps.collect());
    }
    let mut reached = BTreeMap::new();
    for member in all["workspace_members"].as_array().unwrap() {
        let start = member.as_str().unwrap();
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(id) = open.pop() {
            let unseen = next[id].iter().filter(|to| seen.insert(**to));
            open.extend(unseen.copied().collect::<Vec<_>>());
        }
        let there = seen.iter().map(|id| names[id].to_owned()).collect();
        reached.insert(names[start].to_owned(), there);
    }
    reached
}

#[test]
fn nothing_heavy_comes_in_by_a_detour() {
    let reached = reach();
    let mut wrong = Vec::new();
    for row in &ROWS {
        let Some(there) = reached.get(row.name) else { continue };
        for never in row.never.iter().filter(|never| there.contains(**never)) {
            wrong.push(format!("{} reaches {never}", row.name));
        }
    }
    none("what a crate must never have, it has by no way", wrong);
    // The test sees what is there: without this line an empty graph would pass.
    assert!(
        reached["loket-host"].contains("wasmtime") && reached["loket-cli"].contains("rusqlite")
    );
}

#[test]
fn the_guests_know_nothing_of_ours_but_their_sdk() {
    let mut wrong = Vec::new();
    for file in crate::source::files("agents/guests", "Cargo.toml") {
        let dependencies = file.text.lines().skip_while(|line| *line != "[dependencies]").skip(1);
        let names = dependencies.take_while(|line| !line.starts_with('['));
        for name in names.filter(|line| !line.trim().is_empty()) {
            if !name.starts_with("loket-guest") {
                wrong.push(format!("{}: {name}", file.path));
            }
        }
    }
    none("a guest depends on the SDK alone", wrong);
}

#[test]
fn the_rows_agree_with_each_other() {
    let mut above: Vec<&str> = Vec::new();
    for row in &ROWS {
        for to in row.ours {
            assert!(
                above.contains(to),
                "{} stands before {to}: rows are in dependency order",
                row.name
            );
        }
        above.push(row.name);
    }
    for pure in PURE {
        assert!(ROWS.iter().any(|row| row.name == pure && row.only.is_some()), "{pure} is pure");
    }
}
