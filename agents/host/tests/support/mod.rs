//! What the engine's tests share: one engine, the hostile files, a scripted driver.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::sync::OnceLock;

use loket_host::engine::{
    Abort, Answer, Engine, EngineConfig, Failure, Host, Message, Module, RunLimits, SliceVerdict,
    TurnError,
};

/// One engine for a test binary: its pool is address space, its settings are production's.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineConfig::with_slots(64)).unwrap())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hostile")
}

pub fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap()
}

pub fn hostile(name: &str) -> Vec<u8> {
    read(&format!("{name}.wat"))
}

pub fn hostile_names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter_map(|n| n.strip_suffix(".wat").map(str::to_owned)).collect();
    names.sort();
    names
}

pub fn echo() -> Module {
    engine().load(loket_abi::ECHO_WAT.as_bytes(), &Default::default(), None).unwrap()
}

pub fn message(body: &[u8]) -> Message<'_> {
    Message { id: "m-1", sender: "@operator", kind: "message", body }
}

pub fn failure(code: &str) -> Failure {
    Failure { code: code.into(), message: "why".into(), retryable: true, retry_after_ms: Some(258) }
}

/// A driver that answers with what it was asked, and ends the turn after so many slices or calls.
pub struct Script {
    pub slices_left: usize,
    pub calls_left: usize,
    pub verdict: SliceVerdict,
    pub calls: Vec<(String, Vec<u8>)>,
    pub answer: Option<Answer>,
    pub abort: Abort,
    /// Suspend this often before answering.
    pub waits: usize,
    // Not Send, as a lane's driver is not.
    pub _lane: std::rc::Rc<()>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            slices_left: usize::MAX,
            calls_left: usize::MAX,
            verdict: SliceVerdict::Deadline,
            calls: Vec::new(),
            answer: None,
            abort: Abort::Interrupt,
            waits: 0,
            _lane: std::rc::Rc::new(()),
        }
    }
}

impl Host for Script {
    async fn call(&mut self, capability: String, args: Vec<u8>) -> Result<Answer, Abort> {
        if self.calls_left == 0 {
            return Err(self.abort.clone());
        }
        self.calls_left -= 1;
        for _ in 0..self.waits {
            tokio::task::yield_now().await;
        }
        let answer = self.answer.clone().unwrap_or_else(|| Ok(args.clone()));
        self.calls.push((capability, args));
        Ok(answer)
    }

    fn slice(&mut self) -> SliceVerdict {
        if self.slices_left == 0 {
            return self.verdict;
        }
        self.slices_left -= 1;
        SliceVerdict::Continue
    }
}

pub async fn run(
    module: &Module,
    limits: &RunLimits,
    message: Message<'_>,
    host: &mut Script,
) -> Result<Answer, TurnError> {
    module.run(limits, message, host).await
}

/// That a module is the echo guest, or does as it does.
pub async fn echoes(module: &Module) {
    let mut script = Script::default();
    let body = message(b"call log.write x");
    let answer = run(module, &RunLimits::default(), body, &mut script).await.unwrap();
    assert_eq!(answer, Ok(b"x".to_vec()));
}
