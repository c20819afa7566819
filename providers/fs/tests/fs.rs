//! The fs provider against a real folder: ranges, links, names, bounds.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use loket_contract::kit::Caller;
use loket_contract::{Performed, Provider};
use loket_fs::FsProvider;
use loket_kernel::{Bound, Pattern, Scope};
use loket_turn::Failure;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

struct Folder {
    dir: tempfile::TempDir,
    fs: FsProvider,
}

fn folder() -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path().join("docs");
    fs::create_dir_all(docs.join("sub")).unwrap();
    fs::write(dir.path().join("secret"), "canary").unwrap();
    fs::write(docs.join("a.md"), "héllo").unwrap();
    fs::write(docs.join("empty.md"), "").unwrap();
    fs::write(docs.join("sub/b.txt"), "b").unwrap();
    fs::write(docs.join("new\nline.md"), "n").unwrap();
    fs::write(docs.join(OsStr::from_bytes(b"\xff.md")), "x").unwrap();
    symlink("../secret", docs.join("out.md")).unwrap();
    symlink("..", docs.join("up")).unwrap();
    symlink("a.md", docs.join("inside.md")).unwrap();
    let fs = FsProvider::new(dir.path().to_owned()).unwrap();
    Folder { dir, fs }
}

impl Folder {
    fn ask(&mut self, capability: &str, args: &Value) -> Result<Value, Failure> {
        let mut scope = Scope::new();
        scope.insert("roots", Bound::Names(vec![Pattern::parse("docs").unwrap()]));
        scope.insert("max_bytes", Bound::AtMost(16));
        let job = Caller::new("a", "fs", scope).prepare(&mut self.fs, capability, args)?;
        let Performed::Later(later) = self.fs.perform(job) else {
            panic!("the disk is off the lane")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Performed::Done(outcome) = runtime.block_on(later) else { panic!("an answer") };
        Ok(serde_json::from_slice(&outcome?).unwrap())
    }

    fn read(&mut self, path: &str) -> Result<Value, Failure> {
        self.ask("fs.read", &json!({"root": "docs", "path": path}))
    }
}

#[test]
fn reads_text_with_its_size() {
    let read = folder().read("a.md").unwrap();
    assert_eq!(read["text"], "héllo");
    assert_eq!((read["size"].as_u64(), read["eof"].as_bool()), (Some(6), Some(true)));
    assert_eq!(folder().read("empty.md").unwrap()["eof"], true);
}

#[test]
fn nothing_leads_out_of_the_folder() {
    let mut folder = folder();
    let outside = folder.dir.path().join("secret").display().to_string();
    for path in
        ["../secret", "out.md", "up/secret", "sub/../../secret", outside.as_str(), "/etc/passwd"]
    {
        let failure = folder.read(path).unwrap_err();
        assert!(!failure.message.contains("canary"));
        assert_eq!(failure.code, "out_of_scope", "{path}");
    }
    assert_eq!(
        folder.ask("fs.read", &json!({"root": "..", "path": "secret"})).unwrap_err().code,
        "out_of_scope"
    );
    assert_eq!(folder.read("inside.md").unwrap()["text"], "héllo");
}

#[test]
fn a_large_file_comes_in_ranges_that_join_to_the_whole() {
    let mut folder = folder();
    let whole: String = "aé€😀".repeat(20_000);
    fs::write(folder.dir.path().join("docs/large.md"), &whole).unwrap();
    let (mut joined, mut offset) = (String::new(), 0);
    for _ in 0..whole.len() {
        let args = json!({"root": "docs", "path": "large.md", "offset": offset, "length": 13});
        let read = folder.ask("fs.read", &args).unwrap();
        assert_eq!(read["lossy"], false);
        joined.push_str(read["text"].as_str().unwrap());
        offset += read["bytes"].as_u64().unwrap();
        if read["eof"] == true || joined.len() > 5_000 {
            break;
        }
    }
    assert!(whole.starts_with(&joined) && joined.len() > 4_990);
    let over = json!({"root": "docs", "path": "large.md", "length": 17});
    assert_eq!(folder.ask("fs.read", &over).unwrap_err().code, "bad_args");
}

#[test]
fn what_is_no_utf8_is_marked() {
    let mut folder = folder();
    fs::write(folder.dir.path().join("docs/bad.md"), b"ok \xff\xfe end").unwrap();
    let read = folder.read("bad.md").unwrap();
    assert_eq!(read["lossy"], true);
    assert!(read["text"].as_str().unwrap().contains('\u{fffd}'));
}

#[test]
fn lists_sorted_pages_and_says_what_it_skipped() {
    let mut folder = folder();
    let list = |folder: &mut Folder, after: Value| {
        let args = json!({"root": "docs", "recursive": true, "limit": 2, "after": after});
        folder.ask("fs.list", &args).unwrap()
    };
    let (mut paths, mut after) = (Vec::new(), Value::Null);
    for _ in 0..10 {
        let page = list(&mut folder, after);
        for entry in page["entries"].as_array().unwrap() {
            paths.push(entry["path"].as_str().unwrap().to_owned());
        }
        after = json!(paths.last());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(paths, ["a.md", "empty.md", "new\nline.md", "sub/b.txt"]);
    let page = list(&mut folder, Value::Null);
    let codes: Vec<_> =
        page["skipped"].as_array().unwrap().iter().map(|s| s["code"].clone()).collect();
    assert_eq!(codes, ["link", "link", "link", "not_utf8"]);
    let only = json!({"root": "docs", "recursive": true, "extensions": ["TXT"]});
    assert_eq!(folder.ask("fs.list", &only).unwrap()["entries"][0]["path"], "sub/b.txt");
}

#[test]
fn a_missing_folder_and_a_pipe_are_told() {
    let mut folder = folder();
    assert_eq!(folder.read("nothing.md").unwrap_err().code, "not_found");
    assert_eq!(folder.read("sub").unwrap_err().code, "not_a_file");
    let pipe = folder.dir.path().join("docs/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(folder.read("pipe").unwrap_err().code, "not_a_file");
}
