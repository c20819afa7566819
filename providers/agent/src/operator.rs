//! What an operator asks: the tree, the counts, the dead letters, a kill, a stop.

use crate::once::{for_call, once};
use crate::provider::AgentServices;
use loket_contract::Performed;
use loket_runtime::{ControlError, MailboxView, PlaceState, TreeFuture, TreeView};
use loket_turn::{AgentName, Failure, InboxDepth, IntentId, LedgerError, LetterId, RetriedLetter};
use serde_json::{Value, json};
use std::collections::HashMap;

pub(crate) fn ledger_failed(error: &LedgerError) -> Performed {
    if let LedgerError::Answered(before) = error {
        return Performed::Done((**before).clone());
    }
    Performed::ledger_failed(error, failure_of(error))
}

/// The ledger's error as a caller is told it.
pub(crate) fn failure_of(error: &LedgerError) -> Failure {
    match error {
        LedgerError::NotFound(_) => Failure::new("not_found", error.to_string()),
        LedgerError::NoSuchAgent(_) => Failure::new("no_such_agent", error.to_string()),
        LedgerError::DiskFull(_) | LedgerError::Stopped | LedgerError::InboxFull(_) => {
            Failure::retryable(error.code(), error.to_string(), None)
        }
        _ => Failure::new(error.code(), error.to_string()),
    }
}

pub(crate) fn list(services: &AgentServices, under: AgentName) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.dynamic_children().await {
            Ok(children) => {
                let mut names: Vec<_> = children
                    .into_iter()
                    .filter(|child| child.under == under)
                    .map(|child| child.agent)
                    .collect();
                names.sort();
                Performed::json(&json!({"agents": names}))
            }
            Err(error) => ledger_failed(&error),
        }
    }))
}

/// Crashes the incarnation that runs when it is asked for. One of an earlier process has ended with that.
pub(crate) fn kill(services: &AgentServices, child: String, of: Option<IntentId>) -> Performed {
    let said = json!({"killed": child});
    let earlier = said.clone();
    let kill = move |services: AgentServices| {
        std::future::ready(match services.tree.kill(&child) {
            Ok(()) => Performed::json(&said),
            Err(error) => refused(&error),
        })
    };
    once(services, of, move |_| Some(earlier), kill)
}

/// OTP's `terminate_child`: also of a child that waits for its restart, which is cancelled.
pub(crate) fn terminate(
    services: &AgentServices,
    child: String,
    of: Option<IntentId>,
) -> Performed {
    let terminate = async move |services: AgentServices| match services.tree.above(&child) {
        Ok(above) => {
            let asked = above.terminate_child(&child);
            let told = |child: String, ()| json!({"terminated": child});
            of_tree(&services, asked, child, told).await
        }
        Err(error) => refused(&error),
    };
    once(services, of, |_| None, terminate)
}

/// OTP's `restart_child`: of a child that is stopped and has kept its spec. One that was stopped in an earlier process starts with this
/// one.
pub(crate) fn restart(services: &AgentServices, child: String, of: Option<IntentId>) -> Performed {
    let told = |child: String, incarnation: Option<u64>| json!({"restarted": child, "incarnation": incarnation});
    let name = child.clone();
    let earlier = move |services: &AgentServices| {
        let incarnation = services.tree.view(&name).map(|view| view.incarnation);
        Some(told(name, incarnation))
    };
    let restart = async move |services: AgentServices| match services.tree.above(&child) {
        Ok(above) => of_tree(&services, above.restart_child(&child), child, told).await,
        Err(error) => refused(&error),
    };
    once(services, of, earlier, restart)
}

async fn of_tree<T>(
    services: &AgentServices,
    asked: TreeFuture<T>,
    child: String,
    told: fn(String, T) -> Value,
) -> Performed {
    match asked.await {
        Ok(done) => Performed::json(&told(child, done)),
        // OTP's answers to a name that `loket tree` shows: what they mean, and what helps.
        Err(ControlError::Refused(error)) if services.tree.view(&child).is_some() => {
            refused(&match error.code() {
                "not_found" => ControlError::Gone(child),
                "simple_one_for_one" => ControlError::Dynamic(child),
                _ => error.into(),
            })
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &ControlError) -> Performed {
    Performed::failed(Failure::new(error.code(), error.to_string()))
}

/// The tree with each agent's inbox as its mailbox. A fleet may have ten thousand agents: what the ledger says is put into the
/// view as it is, and that is written out once.
pub(crate) fn tree(services: &AgentServices) -> Performed {
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        let inboxes = match services.ledger.inboxes().await {
            Ok(inboxes) => inboxes,
            Err(error) => return ledger_failed(&error),
        };
        let by_name = inboxes.iter().map(|inbox| (&*inbox.agent, inbox)).collect();
        let mut tree = services.tree.snapshot();
        if let Some(top) = &mut tree {
            add_inboxes(top, &by_name);
        }
        Performed::json(&tree)
    }))
}

fn add_inboxes(node: &mut TreeView, inboxes: &HashMap<&str, &InboxDepth>) {
    let inbox = inboxes.get(&*node.id).filter(|_| node.kind == "agent");
    if let Some(inbox) = inbox {
        node.mailbox = Some(MailboxView {
            depth: usize::try_from(inbox.waiting).unwrap_or(usize::MAX),
            capacity: usize::try_from(inbox.capacity).unwrap_or(usize::MAX),
            high_water: None,
        });
        // To its supervisor such an agent runs; it takes no turns all the same (rule G4).
        if inbox.quarantined && node.state == PlaceState::Running {
            node.state = PlaceState::Quarantined;
        }
    }
    for child in &mut node.children {
        add_inboxes(child, inboxes);
    }
}

pub(crate) fn status(services: &AgentServices) -> Performed {
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        match services.ledger.stats().await {
            Ok(stats) => Performed::json(&json!({
                "accepted": stats.accepted, "completed": stats.completed,
                "waiting": stats.waiting, "letters": stats.letters,
                "letters_made": stats.letters_made, "lost": stats.lost(),
                "ledger_bytes": stats.bytes, "boots": stats.boots,
                "restarts": services.tree.restarts(),
                "approvals": stats.approvals, "doubts": stats.doubts,
                "quarantined": stats.quarantined,
            })),
            Err(error) => ledger_failed(&error),
        }
    }))
}

pub(crate) fn history(services: &AgentServices, child: Option<String>, limit: usize) -> Performed {
    let reports = services.reports.latest(child, limit);
    Performed::Later(Box::pin(async move {
        match reports.await {
            Ok(rows) => Performed::json(&json!({"rows": rows})),
            Err(why) => Performed::failed(Failure::retryable("history_unavailable", why, None)),
        }
    }))
}

pub(crate) fn reload(services: &AgentServices, file: Option<String>, dry_run: bool) -> Performed {
    let reload = services.reload.reload(file, dry_run);
    Performed::Later(Box::pin(async move {
        match reload.await {
            Ok(done) => Performed::json(&done),
            Err(failure) => Performed::failed(failure),
        }
    }))
}

pub(crate) fn letters(services: &AgentServices) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.letters().await {
            Ok(letters) => Performed::json(&json!({"letters": letters})),
            Err(error) => ledger_failed(&error),
        }
    }))
}

pub(crate) fn letter(services: &AgentServices, id: LetterId) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.letter(id).await {
            Ok(letter) => {
                let text = String::from_utf8_lossy(&letter.letter.body).into_owned();
                let mut shown = json!(letter);
                shown["letter"]["body"] = json!(text);
                Performed::json(&shown)
            }
            Err(error) => ledger_failed(&error),
        }
    }))
}

pub(crate) fn retry(
    services: &AgentServices,
    id: LetterId,
    confirmed: bool,
    of: Option<IntentId>,
) -> Performed {
    let say = |done: &RetriedLetter| match done {
        RetriedLetter::Sent { message } => json!({"message": message}),
        RetriedLetter::NeedsConfirmation { effects } => json!({"needs_confirmation": effects}),
    };
    let of = for_call(of, &services.clock, move |done| Some(say(done)));
    let retried = services.ledger.retry_letter(id, confirmed, of);
    Performed::Later(Box::pin(async move {
        match retried.await {
            Ok(done) => Performed::json(&say(&done)),
            Err(error) => ledger_failed(&error),
        }
    }))
}

pub(crate) fn drop_letter(
    services: &AgentServices,
    id: LetterId,
    of: Option<IntentId>,
) -> Performed {
    let said = json!({"dropped": id});
    let say = said.clone();
    let of = for_call(of, &services.clock, move |()| Some(say));
    let dropped = services.ledger.drop_letter(id, of);
    Performed::Later(Box::pin(async move {
        match dropped.await {
            Ok(()) => Performed::json(&said),
            Err(error) => ledger_failed(&error),
        }
    }))
}

/// Ends a dynamic child for good (rule A4).
pub(crate) fn remove(services: &AgentServices, agent: AgentName) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.remove(agent.clone(), "stopped by an operator".to_owned()).await {
            Ok(removed) => Performed::json(&json!({"stopped": agent, "letters": removed.letters})),
            Err(error) => ledger_failed(&error),
        }
    }))
}

/// Stops the process that runs when it is asked for: sent again in a later one, it was done.
pub(crate) fn shutdown(services: &AgentServices, now: bool, of: Option<IntentId>) -> Performed {
    let said = json!({"stopping": true, "now": now});
    if of.is_none() {
        // The answer leaves in the same step: a provider that is killed with all others takes no second one.
        services.tree.stop(now);
        return Performed::json(&said);
    }
    let earlier = said.clone();
    let stop = move |services: AgentServices| {
        services.tree.stop(now);
        std::future::ready(Performed::json(&said))
    };
    once(services, of, move |_| Some(earlier), stop)
}
