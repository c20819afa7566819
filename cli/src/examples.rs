//! Examples that `--help` ends with, for all commands and for each.

pub(crate) const ALL: &str = "\
Examples:
  loket run fleets/quickstart.ron                  run the reading room
  loket run fleet.ron --set docs=/srv/notes        with a parameter replaced
  loket bench --tier c                             what a call costs here
  loket check fleet.ron                            all findings, with places
  loket simulate fleet.ron --crash llm@0s,1s,2s    who is restarted, who dies
  loket diff fleet.ron changed.ron                 what a reload would do
  loket tree                                       the running fleet's tree
  loket call librarian 'What is a turn?'           ask an agent and wait
  loket send readers/r1 '{\"read\": ...}' --key job-17   hand in work, once
  loket why llm                                    why a child is as it is
  loket kill readers/r1                            crash it on purpose
  loket letters                                    dead letters
  loket turns librarian                            what it has done
  loket query 'SELECT agent, key FROM kv'          what all agents know
  loket doubt                                      calls that you must settle
  loket approvals                                  what waits for a person
  loket explain E104                               what a code means";

pub(crate) const BENCH: &str = "\
Examples:
  loket bench                                  all tiers, half a minute
  loket bench --tier c,c2 --seconds 10         one lane: native caller, then guest
  loket bench fleet.ron --tier e --dir /srv    durable turns on the disk of /srv
  loket bench --json > before.json             for programs, and to compare with
  loket bench --against before.json            what changed, and what is noise
  loket bench --html report.html               with plots
  loket bench restart                          a trap, until the next message is handled
  loket bench recovery --callers 100           kill -9, until 100 open turns have ended
  loket bench density --agents 100000          how many agents a GiB holds";
pub(crate) const RUN: &str = "\
Examples:
  loket run fleets/quickstart.ron
  loket run fleet.ron --set docs=/srv/notes --data notes.data
  loket run fleet.ron --once --json      answers as JSON lines, then stop";
pub(crate) const CHECK: &str = "\
Examples:
  loket check fleet.ron
  loket check fleet.ron --deny-warnings --json";
pub(crate) const SIMULATE: &str = "\
Examples:
  loket simulate fleet.ron --crash llm@0s,1s,2s
  loket simulate fleet.ron --crash editor@0s:trap --crash llm@1s:panic --json
  loket simulate fleet.ron --crash readers/r1@0s,1s --for 10m || echo 'it gives up'";
pub(crate) const TREE: &str = "\
Examples:
  loket tree
  loket tree fleet.ron          a file, with every default filled in
  loket tree --data fleets/quickstart.data --json";
pub(crate) const DIFF: &str = "\
Examples:
  loket diff fleet.ron changed.ron
  git show HEAD:fleet.ron > old.ron && loket diff old.ron fleet.ron --json";
pub(crate) const RELOAD: &str = "\
Examples:
  loket reload --dry-run        what would be done
  loket reload                  the file that the fleet was started with
  loket reload changed.ron --json
  kill -HUP PID                 the same as loket reload";
pub(crate) const FMT: &str = "\
Examples:
  loket fmt fleet.ron
  loket fmt --check fleets/*.ron";
pub(crate) const SCHEMA: &str = "\
Examples:
  loket schema > fleet.schema.json";
pub(crate) const HISTORY: &str = "\
Examples:
  loket history
  loket history llm --limit 20 --json";
pub(crate) const WHY: &str = "\
Examples:
  loket why readers/r1
  loket why desk --data fleet.data --json      also when the fleet has ended";
pub(crate) const STATUS: &str = "\
Examples:
  loket status
  loket status --json | jq .waiting";
pub(crate) const SEND: &str = "\
Examples:
  loket send librarian 'What is a turn?' --key question-17
  loket send readers/r1 - < message.json";
pub(crate) const CALL: &str = "\
Examples:
  loket call librarian 'What is a turn?'
  loket call librarian - --timeout 10 < question.txt";
pub(crate) const KILL: &str = "\
Examples:
  loket kill readers/r1     one agent
  loket kill llm            a provider
  loket kill readers        a supervisor, with what is below it";
pub(crate) const TERMINATE: &str = "\
Examples:
  loket terminate readers/r1   it ends in order, and so does a restart that it waits for
  loket terminate readers      a supervisor, with what is below it
  loket restart readers        brings it back

A Temporary child that is terminated is gone for good, and with it what waited for it; so is a dynamic one.";
pub(crate) const RESTART: &str = "\
Examples:
  loket restart readers     a child that was terminated, or that has ended and kept its spec";
pub(crate) const LETTERS: &str = "\
Examples:
  loket letters                 list them
  loket letters show 3          one, with its cause
  loket letters retry 3 --yes   again, though effects may be repeated
  loket letters drop 3";
pub(crate) const TURNS: &str = "\
Examples:
  loket turns librarian
  loket turns readers/r1 --before 400 --limit 100 --json";
pub(crate) const TURN: &str = "\
Examples:
  loket turn librarian 17
  loket turn librarian 17 --records              as the ledger has it; nothing is run again
  loket turn librarian 17 --json | jq '.records[].capability'";
pub(crate) const REPLAY: &str = "\
Examples:
  loket replay librarian 17
  loket replay librarian 17 --module new.wasm    what the new code would have done
  loket replay librarian 17 --json | jq '.calls[].capability'";
pub(crate) const BRAIN: &str = "\
Examples:
  loket brain librarian query 'SELECT key, value FROM kv'
  loket brain librarian query 'SELECT source, count(*) FROM memory GROUP BY source' --json
  loket brain librarian snapshot
  loket brain librarian rewind --to 17        as it was after turn 17
  loket brain librarian restore 0-40          as it was in that snapshot
  loket brain librarian export librarian.db && loket brain twin import librarian.db --force";
pub(crate) const QUERY: &str = "\
Examples:
  loket query 'SELECT name, done_n FROM agents WHERE gone = 0'
  loket query \"SELECT agent, value FROM kv WHERE key = 'goal'\" --brains 'readers/*'
  loket query - --timeout 60 --json < report.sql";
pub(crate) const DOUBT: &str = "\
Examples:
  loket doubt                                       list them
  loket doubt show 2                                one, with its arguments
  loket doubt resolve 2 --done '{\"status\": 201}'    it was done, with this result
  loket doubt resolve 2 --retry                     it was not: once more
  loket doubt resolve 2 --fail 'the shop is closed'";
pub(crate) const QUARANTINE: &str = "\
Examples:
  loket quarantine                                 list them
  loket quarantine show editor                     one, with both stories
  loket quarantine resolve editor --accept-rerun   the re-run counts
  loket quarantine resolve editor --skip           give the turn up";
pub(crate) const APPROVALS: &str = "\
Examples:
  loket approvals               what waits for you
  loket approvals show 4        the call and its arguments
  loket approvals approve 4
  loket approvals deny 4 --reason 'not before Monday'";
pub(crate) const ANSWER: &str = "\
Examples:
  loket answer 5 'the red one'
  loket answer 5 - < answer.txt";
pub(crate) const TIMERS: &str = "\
Examples:
  loket timers                  all
  loket timers editor           one agent's
  loket timers --cancel TIMER   take one back";
pub(crate) const BUDGETS: &str = "\
Examples:
  loket budgets          all
  loket budgets editor   one agent's";
pub(crate) const ASK: &str = "\
Examples:
  loket ask agent.status
  loket ask agent.list '{\"under\": \"readers\"}'
  loket ask agent.whereis '{\"agent\": \"librarian\"}'
  loket ask agent.group.members '{\"group\": \"desk\"}'";
pub(crate) const STOP: &str = "\
Examples:
  loket stop          turns may end first
  loket stop --now
  loket stop --all    whatever the fleet is busy with";
pub(crate) const EXPLAIN: &str = "\
Examples:
  loket explain K003
  loket explain       all codes";
