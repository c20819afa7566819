//! What the dice may break: deaths of the process and of its parts, threads that sleep, clocks, code, guests.
//!
//! Start reading at [`Simulation::fault`].

use crate::disk::Death;
use crate::guest::AGENTS;
use crate::machine::LANES;
use crate::rewind;
use crate::rng::Rng;
use crate::run::{START_MS, Simulation};
use crate::world::lock;
use loket_ledger::Durability;
use std::sync::atomic::Ordering;

/// What may be broken, as often as its name is here.
const KINDS: [&str; 25] = [
    "kill",
    "kill",
    "kill-sync",
    "power",
    "power",
    "power-sync",
    "relapse",
    "relapse",
    "out",
    "out",
    "agent",
    "agent",
    "module",
    "module",
    "clock",
    "part",
    "overtaken",
    "overtaken",
    "overtaken",
    "late",
    "late",
    "rewind",
    "rewind",
    "rewind",
    "astray",
];

impl Simulation {
    /// One of the faults; `false`: the dice took it back.
    pub(crate) fn fault(&mut self) -> Result<bool, String> {
        let kind = *self.rng.pick(&KINDS);
        let armed = |rng: &mut Rng, death| Some((death, Rng::new(rng.number()), 0));
        self.trace.note(format!("fault {kind}"));
        match kind {
            "kill" => self.die(Death::Kill)?,
            "power" => self.die(Death::Power)?,
            "kill-sync" => {
                let death = armed(&mut self.rng, Death::Kill);
                self.disk.arm(death);
            }
            "power-sync" => {
                let death = armed(&mut self.rng, Death::Power);
                self.disk.arm(death);
            }
            // It strikes a sender who waits for the word that a message is accepted; or whoever is next.
            "relapse" => {
                self.relapse_due = true;
                if self.rng.percent(70) {
                    self.new_client();
                } else {
                    let death = armed(&mut self.rng, Death::Kill);
                    self.disk.arm(death);
                }
            }
            "module" => {
                self.plan.version.fetch_add(1, Ordering::Relaxed);
            }
            "clock" => {
                // A day ahead for good, or back: time that was told never runs backwards.
                let day = 24 * 60 * 60 * 1_000;
                let to = if self.rng.percent(50) { START_MS - day } else { START_MS + day };
                if let Some(process) = &self.process {
                    process.clock.set_wall(loket_kernel::Moment(to));
                }
            }
            "astray" => {
                if !self.rng.percent(40) {
                    return Ok(false);
                }
                lock(&self.world).lead_astray();
            }
            "overtaken" => self.overtake_due = true,
            "late" => self.late_due = true,
            "rewind" => {
                self.rewind_due = true;
            }
            _ => self.kill(kind),
        }
        Ok(true)
    }

    /// An agent has called the outside, from this lane. Was that waited for, then it is killed while the call is out: the answer
    /// finds another life there.
    pub(crate) fn late(&mut self, lane: usize) {
        if std::mem::take(&mut self.late_due) {
            self.doomed = own(lane).map(|name| (self.rng.below(150), name));
        }
    }

    /// An agent has called the outside, from this lane. Was that waited for, and is the fake provider on another lane, then that one
    /// sleeps, and the agent is killed meanwhile: its call waits in a mailbox while the next life runs the same turn.
    pub(crate) fn overtake(&mut self, lane: usize) {
        let (true, Some(process)) =
            (self.overtake_due && lane != self.plan.out_lane, &mut self.process)
        else {
            return;
        };
        self.overtake_due = false;
        process.exec.lane_sleeps(self.plan.out_lane, 300 + self.rng.below(1_500));
        self.doomed = own(lane).map(|name| (self.rng.below(100), name));
    }

    /// Does what is due at this step: the end of who was to be killed, an exchange of a brain.
    pub(crate) fn execute(&mut self) {
        match &mut self.doomed {
            Some((left, _)) if *left > 0 => *left -= 1,
            Some((_, name)) => {
                let name = *name;
                self.doomed = None;
                if self.rng.percent(50) {
                    // Killed for its new code: what its next life calls is another call.
                    self.plan.version.fetch_add(1, Ordering::Relaxed);
                }
                self.end(name);
            }
            None => {}
        }
        if self.rewind_due && rewind::rewind(self) {
            self.rewind_due = false;
            if self.rng.percent(50) {
                // In one of the syncs of the exchange, or soon after it.
                let death = *self.rng.pick(&[Death::Kill, Death::Power]);
                let spared = self.rng.below(16);
                self.disk.arm(Some((death, Rng::new(self.rng.number()), spared)));
            }
        }
    }

    /// A process was killed, and another one has started, on a machine that is worn out. The power soon goes as well, in one of the
    /// next syncs.
    pub(crate) fn relapse(&mut self) {
        if !std::mem::take(&mut self.relapse_due) {
            return;
        }
        if let Some(process) = &mut self.process {
            process.exec.is_on_a_busy_machine();
        }
        let spared = *self.rng.pick(&[0, 0, 1, 2]);
        self.disk.arm(Some((Death::Power, Rng::new(self.rng.number()), spared)));
    }

    /// A part of the process ends, and its supervisor starts it again.
    fn kill(&mut self, kind: &str) {
        let parts = ["store/0", "store/1", "kernel/0", "agent/0", "agent/1", "time/0"];
        let name = match kind {
            "out" => "out/0",
            "agent" => *self.rng.pick(&AGENTS),
            _ => *self.rng.pick(&parts),
        };
        if let Some(process) = &mut self.process
            && self.rng.percent(60)
        {
            // What was under way is late, and finds the next life there.
            process.exec.slow_down(&mut self.rng, 50, 400);
        }
        self.end(name);
    }

    fn end(&mut self, name: &str) {
        self.trace.note(format!("end {name}"));
        if let Some(process) = &self.process {
            let _ = process.runtime.control().kill(name);
        }
    }

    /// Whether a brain may be ahead of its ledger (rule F3).
    pub(crate) fn may_be_ahead(&self) -> bool {
        self.power_lost && self.plan.durability == Durability::Process
    }
}

/// The agent of a lane.
fn own(lane: usize) -> Option<&'static str> {
    AGENTS.iter().enumerate().find(|(at, _)| at % LANES == lane).map(|(_, name)| *name)
}
