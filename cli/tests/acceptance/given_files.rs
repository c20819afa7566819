//! Files that a command line names and that never end, or are larger than what they should be: refused at once, with a code.

use crate::fleet::{Fleet, finish, loket};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::path::Path;

const ECHO: &str = r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;

/// Bytes of a file that nobody should read.
const HUGE_BYTES: u64 = 1 << 30;

#[test]
fn a_file_that_never_ends_is_refused_at_once() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    let pipe = fleet.path("pipe");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    for running in [true, false] {
        if !running {
            fleet.stop();
        }
        for given in [&*pipe, Path::new("/dev/null")] {
            let given = given.to_str().unwrap();
            let why = &["not a regular file"];
            let said = fleet.command(&["replay", "desk", "1", "--timeout", "2", "--module", given]);
            said.failed(2, "C020", why);
            let said = fleet.command(&["brain", "desk", "import", given, "--timeout", "2"]);
            said.failed(1, "S012", why);
            for words in [&["check", given][..], &["run", given]] {
                let mut command = loket();
                command.args(words);
                finish(command).failed(2, "C013", why);
            }
            let mut command = loket();
            command.args(["bench", "--against", given]);
            finish(command).failed(2, "bench_file", why);
        }
    }
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 2, "nothing was touched");
    fleet.stop();
}

#[test]
fn a_huge_file_is_not_read() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    let huge = fleet.path("huge");
    std::fs::File::create(&huge).unwrap().set_len(HUGE_BYTES).unwrap();
    let huge = huge.to_str().unwrap();
    let said = fleet.command(&["replay", "desk", "1", "--module", huge]);
    said.failed(2, "M003", &["huge", "16777216"]);
    let said = fleet.command(&["brain", "desk", "import", huge]);
    assert!(said.exit == 1 && said.err.contains("error[S0"), "{said:?}");
    let mut command = loket();
    command.args(["bench", "--against", huge]);
    finish(command).failed(2, "bench_against", &["huge", "more than"]);
    fleet.stop();
}
