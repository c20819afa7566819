//! Bringing dynamic children back when some starts fail.
#![allow(clippy::unwrap_used)]

use super::*;
use loket_ledger::{Options, SqliteLedger};
use loket_runtime::{Place, SupervisorHandle, TreeFuture, TreeView};
use loket_supervision::fleet;
use loket_supervision::machine::{ApiError, Exit};
use std::sync::Mutex;

/// A tree in which each start of `pool/b` fails so often, and in which `pool/a` is removed while it is started, if that is asked for.
#[derive(Default)]
struct Tree {
    failures: Mutex<u32>,
    removes: Mutex<Option<Arc<dyn Ledger>>>,
    started: Mutex<Vec<String>>,
    stopped: Mutex<Vec<String>>,
}

impl TreeControl for Tree {
    fn start_dynamic(&self, _: &str, child: DynamicSpec) -> TreeFuture<u64> {
        self.started.lock().unwrap().push(child.name.to_string());
        if let Some(ledger) = self.removes.lock().unwrap().take() {
            return Box::pin(async move {
                ledger.remove(child.name, "stopped by an operator".to_owned()).await.unwrap();
                Ok(1)
            });
        }
        let mut left = self.failures.lock().unwrap();
        let fails = &*child.name == "pool/b" && *left > 0;
        *left -= u32::from(fails);
        let refused = ControlError::from(ApiError::StartFailed(Exit::Killed));
        Box::pin(std::future::ready(if fails { Err(refused) } else { Ok(1) }))
    }

    fn kill(&self, _: &str) -> Result<(), ControlError> {
        unreachable!()
    }

    fn snapshot(&self) -> Option<TreeView> {
        unreachable!()
    }

    fn restarts(&self) -> u64 {
        unreachable!()
    }

    fn view(&self, _: &str) -> Option<TreeView> {
        unreachable!()
    }

    fn living(&self, _: &dyn Fn(&Place) -> bool) -> Vec<Arc<str>> {
        unreachable!()
    }

    fn stop_dynamic(&self, child: &str) -> TreeFuture<()> {
        self.stopped.lock().unwrap().push(child.to_owned());
        Box::pin(std::future::ready(Ok(())))
    }

    fn supervisor(&self, _: &str) -> Result<SupervisorHandle, ControlError> {
        unreachable!()
    }

    fn above(&self, _: &str) -> Result<SupervisorHandle, ControlError> {
        unreachable!()
    }

    fn stop(&self, _: bool) {}
}

const FILE: &str = r#"Fleet(version: 1, name: "t", root: Supervisor(children: [
    Supervisor(id: "pool", strategy: SimpleOneForOne, children: [
        Agent(id: "w", module: "builtin:echo")])]))"#;

/// The rows `pool/a` and `pool/b`, brought back in a tree. `removes`: the first is removed while it is started.
async fn brought_back(failures: u32, removes: bool) -> Arc<Tree> {
    let catalog = crate::node::FileCatalog::new(std::path::Path::new("t.ron")).unwrap();
    let (fleet, _) = fleet::parse(FILE, "t.ron", &[], &catalog).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(Options::new(dir.path()), Box::new(|_| {})).unwrap();
    let ledger: Arc<dyn Ledger> = ledger;
    let templates = Arc::new(Templates::of(&fleet.root));
    for name in ["pool/a", "pool/b"] {
        let row =
            DynamicChild { agent: name.into(), under: "pool".into(), settings: "{}".to_owned() };
        let spec = templates.spec(&row).unwrap();
        ledger.enrol(vec![enrol(name.into(), &spec, Some(row))]).await.unwrap();
    }
    let removes = Mutex::new(removes.then(|| Arc::clone(&ledger)));
    let tree = Arc::new(Tree { failures: Mutex::new(failures), removes, ..Tree::default() });
    let control = Arc::clone(&tree) as Arc<dyn TreeControl>;
    let stopping = Arc::default();
    Spawner { templates, ledger, tree: control, stopping }.bring_back("pool".to_owned()).await;
    tree
}

async fn started(failures: u32) -> Vec<String> {
    brought_back(failures, false).await.started.lock().unwrap().clone()
}

/// Nobody hears of a removal between the start and its being known: there is nobody to stop then.
#[tokio::test]
async fn a4_a_child_that_is_removed_while_it_is_started_is_stopped() {
    let tree = brought_back(0, true).await;
    let first = tree.started.lock().unwrap()[0].clone();
    assert_eq!(*tree.stopped.lock().unwrap(), [first]);
    assert_eq!(tree.started.lock().unwrap().len(), 2, "the other one is not concerned");
    assert!(brought_back(0, false).await.stopped.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a6_a_child_that_did_not_come_back_is_tried_again_and_the_others_are_left_alone() {
    let mut all = started(0).await;
    all.sort();
    assert_eq!(all, ["pool/a", "pool/b"]);
    let all = started(2).await;
    assert_eq!(all.iter().filter(|name| *name == "pool/b").count(), 3, "{all:?}");
    assert_eq!(all.iter().filter(|name| *name == "pool/a").count(), 1, "{all:?}");
}
