//! The nodes that tiers run on; native callers and guests share one, so that they have the same neighbours.

use crate::bed::{Bed, Plan};
use crate::spec::Guest;
use crate::tiers::{
    Activations, Agents, Calls, Guests, HostCalls, Measured, Recovery, Restarts, Spawns, Starts,
    Turns,
};
use crate::{BenchError, Options, Tier};
use loket_ledger::Durability;
use std::rc::Rc;

/// Agents that have durable turns at once, if there are so many: the number that the figures of group commit are given for.
const TURNING: usize = 256;

/// Makes nodes, each when it is first asked for.
#[derive(Default)]
pub(crate) struct Beds {
    lane: Option<Rc<Bed>>,
}

impl Beds {
    /// What runs this tier.
    pub(crate) fn tier(
        &mut self,
        tier: Tier,
        options: &Options,
    ) -> Result<Box<dyn Measured>, BenchError> {
        let callers = options.callers.max(1);
        Ok(match tier {
            Tier::Host => Box::new(HostCalls::new(options, false)?),
            Tier::Grant => Box::new(HostCalls::new(options, true)?),
            Tier::Native => Box::new(Calls::new(self.lane(options)?, options.payload, true)),
            Tier::Guest => Box::new(Guests::new(self.lane(options)?, options.payload)),
            Tier::Cross => {
                let (echoes, callers) = (vec![1], vec![0; callers]);
                let plan = Plan { lanes: 2, echoes, callers, crowded: true, ..plan() };
                Box::new(Calls::new(Rc::new(Bed::new(&plan, options)?), options.payload, true))
            }
            Tier::Lanes => {
                let lanes = options.lanes.max(1);
                let callers = (0..callers.max(lanes)).map(|caller| caller % lanes).collect();
                let echoes = (0..lanes).collect();
                let plan = Plan { lanes, echoes, callers, crowded: true, ..plan() };
                Box::new(Calls::new(Rc::new(Bed::new(&plan, options)?), options.payload, false))
            }
            Tier::Process => Box::new(Turns::new(durable(options, Durability::Process)?)),
            Tier::Power => Box::new(Turns::new(durable(options, Durability::Power)?)),
            Tier::Restart => {
                let plan = Plan { agents: vec![Guest::Writing], ..plan() };
                Box::new(Restarts::new(Bed::new(&plan, options)?))
            }
            Tier::Activation => {
                let (agents, open_brains) = Activations::crowd(options);
                let plan = Plan { agents: vec![Guest::Writing; agents], open_brains, ..plan() };
                Box::new(Activations::new(Bed::new(&plan, options)?, options)?)
            }
            Tier::Start => Box::new(Starts::new(options)?),
            Tier::Spawn => Box::new(Spawns::new(options)?),
            Tier::Agents => Box::new(Agents::new(options)?),
            Tier::Recovery => Box::new(Recovery::new(options)?),
        })
    }

    fn lane(&mut self, options: &Options) -> Result<Rc<Bed>, BenchError> {
        if let Some(bed) = &self.lane {
            return Ok(Rc::clone(bed));
        }
        let callers = options.callers.max(1);
        let (agents, callers) = (vec![Guest::Calling; callers], vec![0; callers]);
        let plan = Plan { callers, agents, crowded: true, ..plan() };
        let bed = Rc::new(Bed::new(&plan, options)?);
        self.lane = Some(Rc::clone(&bed));
        Ok(bed)
    }
}

fn plan() -> Plan {
    Plan::one_lane(Durability::Process)
}

fn durable(options: &Options, durability: Durability) -> Result<Rc<Bed>, BenchError> {
    let turning = usize::try_from(options.agents).unwrap_or(TURNING).clamp(1, TURNING);
    let agents = vec![Guest::Writing; turning];
    Ok(Rc::new(Bed::new(&Plan { durability, agents, ..plan() }, options)?))
}
