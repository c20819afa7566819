//! Threads that park, with crossbeam's channels between them: a caller each, one forwarder that is the echo's own thread's neighbour.

use crate::Measured;
use crate::load::{Load, PAYLOAD, echo};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::time::Instant;

/// Messages that may wait: as many as at Loket's provider.
const MAILBOX: usize = 4_096;

type Work = (Vec<u8>, Sender<Vec<u8>>);

fn serve(inbox: &Receiver<Work>) {
    for (args, reply) in inbox {
        let _ = reply.send(echo(&args));
    }
}

/// The callers forward themselves: a third thread would only add its wake.
pub(crate) fn two_threads(load: Load) -> Measured {
    let (door, inbox) = bounded::<Work>(MAILBOX);
    let server = std::thread::spawn(move || serve(&inbox));
    let began = Instant::now();
    let until = began + load.time;
    let caller = |door: Sender<Work>| {
        move || {
            let (reply, answer) = bounded(1);
            let (mut args, mut calls) = (vec![b'x'; PAYLOAD], 0_u64);
            while Instant::now() < until {
                door.send((args, reply.clone())).unwrap();
                args = answer.recv().unwrap();
                calls += 1;
            }
            calls
        }
    };
    let threads: Vec<_> =
        (0..load.callers).map(|_| std::thread::spawn(caller(door.clone()))).collect();
    let calls: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let took = began.elapsed();
    drop(door);
    server.join().unwrap();
    Ok(took.as_nanos() as f64 / calls as f64)
}
