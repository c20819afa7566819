//! A broken fleet file never breaks the reader: 20,000 mutated texts, each must end in an answer,
//! and whatever is accepted must suit the supervisor machine and the kernel.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;

use fleet_world::World;
use loket_kernel::{GrantId, GrantSet};
use loket_supervision::fleet::{self, Node, SupervisorSpec};
use loket_supervision::machine::Supervisor;

/// Texts tried; about ten seconds without optimisation.
const ROUNDS: usize = 20_000;

/// Pieces that mean something, or nearly.
const PIECES: [&str; 44] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "//",
    "/*",
    "*/",
    "'",
    "#",
    "r#\"",
    "\n",
    "None",
    "Some(",
    "Param(\"p\")",
    "Timeout(",
    "Wait(\"1s\")",
    "Agent(",
    "Provider(",
    "Supervisor(",
    "SimpleOneForOne",
    "OneForAll",
    "-1",
    "0",
    "1e999",
    "NaN",
    "18446744073709551616",
    "\"5x\"",
    "id: \"a\",",
    "children: [",
    "scope: {",
    "\"*\"",
    "é",
    "\u{2028}",
    "\u{feff}",
    "\t",
    "inf",
    "significant: true,",
    "#![enable(unwrap_newtypes)]",
];

/// A small generator (xorshift), so that a failure can be repeated by its round.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn corpus() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut all = vec![std::fs::read_to_string(root.join("newsroom.ron")).unwrap()];
    let mut paths: Vec<_> =
        std::fs::read_dir(root.join("fleets")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    all.extend(paths.iter().map(|path| std::fs::read_to_string(path).unwrap()));
    all
}

fn mutate(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(chars.len() + 1);
        let to = (at + random.below(12)).min(chars.len());
        match random.below(5) {
            0 => drop(chars.drain(at..to)),
            1 => {
                let again: Vec<char> = chars[at..to].to_vec();
                chars.splice(at..at, again);
            }
            2 => {
                let piece = PIECES[random.below(PIECES.len())].chars();
                chars.splice(at..to, piece);
            }
            3 => {
                let piece = PIECES[random.below(PIECES.len())].chars();
                chars.splice(at..at, piece);
            }
            _ => {
                let other = random.below(chars.len().max(1));
                if at < chars.len() && other < chars.len() {
                    chars.swap(at, other);
                }
            }
        }
    }
    chars.into_iter().collect()
}

/// What the fleet file lets pass, the supervisor machine and the kernel must take.
fn accepted(s: &SupervisorSpec, round: usize) {
    let made = Supervisor::new(s.flags(), s.child_specs(), 1);
    assert!(made.is_ok(), "round {round}: {:?}", made.err());
    for child in &s.children {
        match child {
            Node::Supervisor(below) => accepted(below, round),
            Node::Agent(agent) => {
                let grants = agent.grants.iter().zip(0..).map(|(g, id)| g.grant(GrantId(id), None));
                let set = GrantSet::new(grants.collect());
                assert!(set.is_ok(), "round {round}: {:?}", set.err());
            }
            Node::Provider(_) => {}
        }
    }
}

#[test]
fn every_mutated_text_gets_an_answer() {
    let corpus = corpus();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut fleets, mut refused, mut beyond_syntax) = (0_usize, 0_usize, 0_usize);
    for round in 0..ROUNDS {
        let text = mutate(&corpus[random.below(corpus.len())], &mut random);
        let sets = [("p".to_owned(), "x".to_owned())];
        let sets = if round % 3 == 0 { &sets[..] } else { &[] };
        let findings = match fleet::parse(&text, "m.ron", sets, &World) {
            Ok((fleet, warnings)) => {
                fleets += 1;
                accepted(&fleet.root, round);
                assert!(warnings.iter().all(|f| !f.is_error()), "round {round}: {text}");
                warnings
            }
            Err(findings) => {
                refused += 1;
                assert!(findings.iter().any(fleet::Finding::is_error), "round {round}: {text}");
                findings
            }
        };
        beyond_syntax += usize::from(findings.iter().any(|f| f.is_error() && f.code != "E001"));
        for f in &findings {
            let chars = u32::try_from(f.source.chars().count()).unwrap();
            let inside =
                f.line >= 1 && f.column >= f.caret && f.length >= 1 && f.caret <= chars + 1;
            assert!(inside, "round {round}: {f:?}\n{text}");
            assert!(f.to_string().contains(f.code) && fleet::explain(f.code).is_some());
        }
    }
    // The loop must reach all three outcomes, or it tests nothing.
    assert!(fleets > ROUNDS / 50, "{fleets} fleets");
    assert!(beyond_syntax > ROUNDS / 50, "{beyond_syntax} beyond syntax");
    assert_eq!(fleets + refused, ROUNDS);
}
