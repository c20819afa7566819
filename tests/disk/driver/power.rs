//! Losses of power: possible states of the disk at random moments of a recorded run.

use crate::check::{self, Raw};
use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::images::{self, Outcome, Recorded};
use crate::{Options, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Findings that are printed; the rest is counted.
const SHOWN_MAX: usize = 20;

/// What all images together came to.
#[derive(Debug, Default)]
struct Sum {
    images: usize,
    raw: Raw,
    starts: usize,
    wrong: usize,
}

/// Makes and looks at all of them.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let Some(recorded) = images::record(options)? else {
        return Ok(
            json!({"scenario": "power", "lie": options.lie, "ended_at_start": true, "ok": true}),
        );
    };
    let mut dice = Dice::new(options.seed);
    let moments = moments(options, &recorded, &mut dice);
    let start_every = options.images.checked_div(options.starts).unwrap_or(usize::MAX).max(1);
    let mut disk = Disk::new(&options.work.join("recorded"));
    let mut sum = Sum::default();
    let mut cut = 0;
    for (index, entry) in recorded.entries.iter().enumerate() {
        disk.apply(&entry.change)?;
        cut = entry.end;
        for _ in 0..moments.get(&index).copied().unwrap_or(0) {
            image(options, &recorded, &disk, cut, &mut dice, &mut sum, start_every)?;
        }
    }
    let power = options.durability == "Power";
    let raw = &sum.raw;
    let kept = raw.holes == 0 && raw.damaged == 0 && sum.wrong == 0;
    let ok = kept && (!power || raw.lost == 0 && raw.ahead == 0) && cut > 0;
    Ok(json!({
        "scenario": "power", "durability": options.durability, "messages": options.messages, "seed": options.seed, "lie": options.lie,
        "changes": recorded.entries.len(), "images": sum.images, "lost": raw.lost, "holes": raw.holes, "ahead": raw.ahead,
        "damaged": raw.damaged, "started": sum.starts, "wrong": sum.wrong, "ok": ok,
    }))
}

/// How many images are made after which change.
fn moments(options: &Options, recorded: &Recorded, dice: &mut Dice) -> BTreeMap<usize, usize> {
    let mut moments = BTreeMap::new();
    for _ in 0..options.images {
        *moments.entry(dice.roll(recorded.entries.len())).or_default() += 1;
    }
    moments
}

fn image(
    options: &Options,
    recorded: &Recorded,
    disk: &Disk,
    cut: u64,
    dice: &mut Dice,
    sum: &mut Sum,
    start_every: usize,
) -> Result<()> {
    let loss = match dice.roll(8) {
        0 => Loss::Everything,
        _ => Loss::Random,
    };
    let started = sum.images % start_every == start_every - 1 && sum.starts < options.starts;
    let data = options.work.join("image");
    let before = dice.clone();
    let _ = std::fs::remove_dir_all(&data);
    disk.image(&data, loss, dice)?;
    let raw = check::raw(&data, &recorded.messages, cut)?;
    let power = options.durability == "Power";
    let wrong = raw.damaged + raw.holes > 0 || power && raw.lost + raw.ahead > 0;
    if wrong && sum.raw.damaged + sum.raw.holes + sum.raw.lost < SHOWN_MAX {
        println!("WRONG: image {} after byte {cut} of the record: {raw:?}", sum.images);
        let kept = options.work.join(format!("wrong-{}", sum.images));
        disk.image(&kept, loss, &mut before.clone())?;
    }
    sum.raw.add(&raw);
    if started {
        // SQLite has recovered the log by looking; the fleet gets the image as it was.
        std::fs::remove_dir_all(&data)?;
        disk.image(&data, loss, &mut before.clone())?;
        sum.starts += 1;
        if let Outcome::Wrong(told) = images::restart(options, &data)? {
            sum.wrong += 1;
            println!("WRONG: started on image {} after byte {cut}: {told}", sum.images);
        }
    }
    sum.images += 1;
    Ok(())
}
