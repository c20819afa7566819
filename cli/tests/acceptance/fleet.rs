//! A fleet of a test: its folder, its process, and the commands given to it.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take here; a hang is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often an outside process looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A folder with a fleet file and a data directory; the process, while it runs.
pub(crate) struct Fleet {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output as JSON; it must have succeeded.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.exit, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed with this exit code, and said this code and these words on standard error.
    #[track_caller]
    pub(crate) fn failed(&self, exit: i32, code: &str, words: &[&str]) {
        assert_eq!(self.exit, exit, "{self:?}");
        let told = [format!("error[{code}]: "), format!("{{\"error\":{{\"code\":\"{code}\"")];
        assert!(told.iter().any(|told| self.err.contains(told)), "no error[{code}] in {self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        }
        assert!(!self.err.contains("panicked"), "{self:?}");
    }
}

/// The binary under test.
pub(crate) fn loket() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.env_remove("LOKET_DATA").env("LOKET_LOG", "warn").stdin(Stdio::null());
    command
}

/// Runs a command to its end, within [`PATIENCE`].
#[track_caller]
pub(crate) fn finish(mut command: Command) -> Said {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Both pipes are emptied meanwhile, so that the child cannot wait for us.
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = [drain(out), drain(err)];
    let status = within(PATIENCE, "the command ends", || child.try_wait().unwrap());
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    Said::of(Output { status, stdout, stderr })
}

fn drain(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Looks until there is something.
#[track_caller]
pub(crate) fn within<T>(most: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < most, "not within {most:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Fleet {
    /// A fleet with this file, not running.
    pub(crate) fn of(ron: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        let fleet = Self { folder, child: None };
        fleet.write("fleet.ron", ron);
        fleet
    }

    /// A fleet whose root has these children, running.
    pub(crate) fn running(children: &str) -> Self {
        let mut fleet = Self::of(&file("", children));
        fleet.start();
        fleet
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `loket run`, not started.
    pub(crate) fn run(&self) -> Command {
        let mut command = loket();
        command.arg("run").arg(self.path("fleet.ron")).arg("--data").arg(self.data());
        command
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let command = self.run();
        self.start_as(command, self.data());
    }

    /// The same, started by this command and seen from here under `data`.
    #[track_caller]
    pub(crate) fn start_as(&mut self, command: Command, data: PathBuf) {
        self.spawn(command);
        self.up(&data);
    }

    pub(crate) fn spawn(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until it answers on this data directory.
    #[track_caller]
    pub(crate) fn up(&mut self, data: &Path) {
        within(PATIENCE, "the fleet is up", || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the fleet ended: {status}\n{}", self.log());
            }
            ask(data, "agent.status", &json!({})).ok()
        });
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Standard error of all starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `kill -9`.
    pub(crate) fn kill_process(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops in order; the process must end well.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        assert_eq!(self.command(&["stop"]).exit, 0);
        self.ended_well();
    }

    /// It ends by itself, well.
    #[track_caller]
    pub(crate) fn ended_well(&mut self) {
        let mut child = self.child.take().unwrap();
        let status = within(PATIENCE, "the fleet stops", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// It ends by itself: with this exit code.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        within(PATIENCE, "the fleet ends", || child.try_wait().unwrap()).code()
    }

    /// A command to the running fleet.
    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> Said {
        let mut command = loket();
        command.args(words).arg("--data").arg(self.data());
        finish(command)
    }

    /// `loket call AGENT BODY`.
    #[track_caller]
    pub(crate) fn call(&self, agent: &str, body: &str) -> Said {
        self.command(&["call", agent, body, "--json"])
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.command(&["status", "--json"]).json()
    }

    /// A child of the running tree.
    #[track_caller]
    pub(crate) fn child(&self, id: &str) -> Value {
        let tree = self.command(&["tree", "--json"]).json();
        find(&tree, id).unwrap_or_else(|| panic!("no {id} in {tree}"))
    }

    /// Any request on the control socket, as the bytes that a client may send.
    pub(crate) fn ask(&self, capability: &str, args: &Value) -> Result<Value, Value> {
        ask(&self.data(), capability, args)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the fleet\n{}", self.log());
        }
    }
}

/// A fleet file with these fields and these children of the root.
pub(crate) fn file(fields: &str, children: &str) -> String {
    format!(
        "Fleet(version: 1, name: \"test\", {fields} root: Supervisor(intensity: 50, period: \"60s\", children: [\n{children}\n]))"
    )
}

/// A reader of the folder `docs`.
pub(crate) const READER: &str = r#"
    Provider(id: "fs", use: Fs()),
    Agent(id: "reader", module: "builtin:reader", grants: [
        (cap: "store.brain"), (cap: "fs", scope: { "roots": ["docs"] }), (cap: "log.write"),
    ]),"#;

/// What the reader is told.
pub(crate) fn read(path: &str) -> String {
    json!({"read": {"root": "docs", "path": path}}).to_string()
}

fn find(tree: &Value, id: &str) -> Option<Value> {
    if tree["id"] == id {
        return Some(tree.clone());
    }
    tree["children"].as_array()?.iter().find_map(|child| find(child, id))
}

/// One request on the socket: the result, or the failure.
pub(crate) fn ask(data: &Path, capability: &str, args: &Value) -> Result<Value, Value> {
    let broken = |error: std::io::Error| json!({"code": "no_answer", "message": error.to_string()});
    let stream = UnixStream::connect(data.join("loket.sock")).map_err(broken)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut line = json!({"capability": capability, "args": args}).to_string();
    line.push('\n');
    (&stream).write_all(line.as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(broken)?;
    let mut answer: Value = serde_json::from_str(&answer)
        .map_err(|error| json!({"code": "no_answer", "message": error.to_string()}))?;
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => Ok(answer["ok"].take()),
    }
}

/// `GET /metrics`, as lines.
pub(crate) fn metrics(port: u16) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200"), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// The value of a metric with these labels; 0 when it was never counted.
pub(crate) fn metric(lines: &[String], name: &str) -> f64 {
    let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
