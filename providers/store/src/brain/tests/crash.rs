//! A process that is killed between and within commits: N and contents always agree.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const DIR: &str = "LOKET_STORE_CRASH_DIR";

/// Not a test of its own: what the killed process does. One turn adds one row and sets "n"; then
/// says so.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut brain = begun(Path::new(&dir));
    let mut out = std::io::stdout();
    loop {
        let n = brain.state().0.0 + 1;
        put(&mut brain, "n", &n.to_string());
        let long = format!("turn {n} {}", "word ".repeat(n as usize % 40));
        add_at(&mut brain, &[long.as_str()], n);
        brain.commit(TurnNo(n), Hash::of(&n.to_le_bytes())).unwrap();
        writeln!(out, "applied {n}").unwrap();
        if n.is_multiple_of(7) {
            brain.make_durable().unwrap();
        }
        brain.begin(true).unwrap();
    }
}

#[test]
fn d2_a_kill_leaves_n_and_contents_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "brain::tests::crash::child", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let applied = lines.map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("applied ").and_then(|(_, n)| n.parse::<u64>().ok())
        });
        let said = applied.take(3 + round * 2).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let mut brain = begun(dir.path());
        let (n, chain) = brain.state();
        assert!(n.0 >= said && n.0 > kept, "said {said}, kept {n}");
        assert_eq!(chain, Hash::of(&n.0.to_le_bytes()));
        assert_eq!(get(&mut brain, "n"), Some(n.0.to_string()));
        // No unique key would hide a row that was added twice, or one that is missing.
        assert_eq!(brain.call(|conn| memory::count(conn, None)).unwrap(), n.0);
        let last = find(&mut brain, &format!("\"{n}\""), 0.0, 0);
        assert!(last.contains(&i64::try_from(n.0).unwrap()));
        let _ = dump(&mut brain);
        kept = n.0;
    }
}
