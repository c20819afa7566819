//! What a fleet file means: the example of the design, defaults, parameters, how findings look.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod fleet_world;

use fleet_world::World;
use loket_kernel::{Bound, Pattern};
use loket_supervision::fleet::{
    self, AgentSpec, Charge, Durability, Finding, First, Fleet, MAX_TEXT_BYTES, Node, Overload,
    Restart, Shutdown, Strategy, SupervisorSpec,
};

const NEWSROOM: &str = include_str!("newsroom.ron");

fn parse(text: &str) -> Result<(Fleet, Vec<Finding>), Vec<Finding>> {
    fleet::parse(text, "test.ron", &[], &World)
}

fn good(text: &str) -> Fleet {
    match parse(text) {
        Ok((fleet, _)) => fleet,
        Err(found) => panic!("{}", found.iter().map(ToString::to_string).collect::<String>()),
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    match parse(text) {
        Ok((_, found)) | Err(found) => found.iter().map(|f| f.code).collect(),
    }
}

fn names(pattern: &str) -> Bound {
    Bound::Names(vec![Pattern::parse(pattern).unwrap()])
}

fn supervisor(node: &Node) -> &SupervisorSpec {
    match node {
        Node::Supervisor(s) => s,
        other => panic!("{} is no supervisor", other.id()),
    }
}

fn agent(node: &Node) -> &AgentSpec {
    match node {
        Node::Agent(a) => a,
        other => panic!("{} is no agent", other.id()),
    }
}

fn one(fields: &str) -> AgentSpec {
    let text = format!(
        "Fleet(version: 1, name: \"t\", root: Supervisor(intensity: 3, children: [\
         Agent(id: \"a\", module: \"builtin:x\", {fields})]))"
    );
    agent(&good(&text).root.children[0]).clone()
}

#[test]
fn the_example_of_the_design_means_what_it_says() {
    let fleet = good(NEWSROOM);
    assert_eq!((fleet.version, fleet.name.as_str()), (1, "newsroom"));
    assert_eq!(fleet.data, "newsroom.data");
    assert_eq!(fleet.durability, Durability::Power);
    let root = &fleet.root;
    assert_eq!((root.strategy, root.intensity, root.period_ms), (Strategy::RestForOne, 5, 30_000));
    assert_eq!((root.restart, root.shutdown), (Restart::Permanent, Shutdown::Infinity));
    let providers = supervisor(&root.children[0]);
    let Node::Provider(llm) = &providers.children[0] else { panic!() };
    assert_eq!((llm.id.as_str(), llm.kind.as_str()), ("llm", "Llm"));
    assert!(llm.config.starts_with("(models: [(name: \"fast\"") && llm.config.ends_with(')'));
    assert_eq!(llm.capabilities, ["llm.chat", "llm.models"]);
    let desk = supervisor(&root.children[1]);
    let editor = agent(&desk.children[0]);
    assert_eq!(editor.settings["persona"], "You edit the daily digest.");
    let budget = editor.grants[1].budget.unwrap();
    assert_eq!((budget.tokens, budget.per_ms), (Some(200_000), Some(86_400_000)));
    assert_eq!(editor.grants[2].approve[0].as_str(), "mcp.github.create_issue");
    assert_eq!(editor.grants[3].scope.get("to"), Some(&names("writer/*")));
    let backoff = editor.backoff.unwrap();
    assert_eq!((backoff.first, backoff.min_ms, backoff.max_ms), (First::Immediate, 100, 30_000));
    let writers = supervisor(&desk.children[1]);
    assert_eq!(writers.max_children, Some(10_000));
    assert_eq!((writers.intensity, writers.period_ms), (1, 5_000));
    assert_eq!(agent(&writers.children[0]).restart, Restart::Transient);
}

#[test]
fn what_is_absent_has_the_built_in_default() {
    let a = one("");
    assert_eq!((a.restart, a.shutdown), (Restart::Permanent, Shutdown::Timeout(5_000)));
    assert_eq!((a.backoff, a.every_ms, a.significant), (None, None, false));
    assert_eq!((a.limits.memory_bytes, a.limits.deadline_ms), (32 << 20, 30_000));
    assert_eq!((a.limits.output_bytes, a.limits.calls_per_turn), (1 << 20, 10_000));
    assert_eq!((a.mailbox.capacity, a.mailbox.overload), (256, Overload::Reject));
    assert_eq!((a.max_attempts, a.charge, a.park_after_ms), (3, Charge::Exit, 50));
    assert_eq!(a.pause_max_ms, 60_000);
    let fleet = good(include_str!("fleets/E001.good.ron"));
    assert_eq!((fleet.data.as_str(), fleet.root.id.as_str()), ("t.data", "root"));
    assert_eq!((fleet.root.intensity, fleet.root.period_ms), (1, 5_000));
    assert_eq!((fleet.listen, fleet.lanes, fleet.slots), (None, None, None));
    assert_eq!(fleet.operator[0].cap.as_str(), "agent");
    let all = names("*");
    for key in ["to", "under", "children"] {
        assert_eq!(fleet.operator[0].scope.get(key), Some(&all));
    }
}

#[test]
fn children_fall_back_to_defaults_and_overrule_them_field_by_field() {
    let text = "Fleet(version: 1, name: \"t\",
        defaults: (restart: Transient, shutdown: BrutalKill, max_attempts: 1, charge: Letter,
            backoff: (first: \"1s\"), mailbox: (capacity: 9, overload: Wait(\"2s\")),
            limits: (memory: \"1MiB\", calls: 7), start_timeout: \"3s\"),
        root: Supervisor(children: [
            Agent(id: \"a\", module: \"x\"),
            Agent(id: \"b\", module: \"x\", restart: Temporary, backoff: None,
                limits: (calls: 8), mailbox: Some((capacity: 2))),
            Provider(id: \"p\", use: Chaos),
            Supervisor(id: \"s\", children: []),
        ]))";
    let fleet = good(text);
    let (a, b) = (agent(&fleet.root.children[0]), agent(&fleet.root.children[1]));
    assert_eq!((a.restart, a.shutdown), (Restart::Transient, Shutdown::BrutalKill));
    assert_eq!((a.max_attempts, a.charge), (1, Charge::Letter));
    assert_eq!((a.backoff.unwrap().first, a.mailbox.capacity), (First::Ms(1_000), 9));
    assert_eq!((a.limits.memory_bytes, a.limits.calls_per_turn), (1 << 20, 7));
    assert_eq!((b.restart, b.backoff), (Restart::Temporary, None));
    assert_eq!((b.limits.memory_bytes, b.limits.calls_per_turn), (1 << 20, 8));
    assert_eq!((b.mailbox.capacity, b.mailbox.overload), (2, Overload::Wait(2_000)));
    let Node::Provider(p) = &fleet.root.children[2] else { panic!() };
    assert_eq!(
        (p.restart, p.start_timeout_ms, p.config.as_str()),
        (Restart::Transient, 3_000, "()")
    );
    // Defaults are for workers: a supervisor keeps OTP's.
    let s = supervisor(&fleet.root.children[3]);
    assert_eq!((s.restart, s.shutdown), (Restart::Permanent, Shutdown::Infinity));
}

#[test]
fn set_replaces_a_value_and_never_text() {
    let text = "Fleet(version: 1, name: \"t\", params: { \"docs\": \"here\" },
        root: Supervisor(children: [Provider(id: \"fs\", use: Fs),
        Agent(id: \"a\", module: \"x\", max_attempts: 1,
            settings: { \"d\": Param(\"docs\"), \"n\": 5,
            \"l\": [1, \"two\", true, { \"x\": None }] },
            grants: [(cap: \"fs\", scope: { \"roots\": [Param(\"docs\")], \"max_bytes\": 9 })])]))";
    let nasty = "x\"]), root: Evil(";
    let sets = [("docs".to_owned(), nasty.to_owned())];
    let (fleet, warnings) = fleet::parse(text, "t", &sets, &World).unwrap();
    assert!(warnings.is_empty());
    let a = agent(&fleet.root.children[1]);
    assert_eq!(fleet.params["docs"], nasty);
    assert_eq!(a.settings["d"], nasty);
    assert_eq!(a.settings["n"], "5");
    assert_eq!(a.settings["l"], r#"[1,"two",true,{"x":null}]"#);
    assert_eq!(a.grants[0].scope.get("roots"), Some(&names(nasty)));
    assert_eq!(a.grants[0].scope.at_most("max_bytes"), Some(9));
}

#[test]
fn a_param_in_a_scope_is_checked_as_the_pattern_it_becomes() {
    let text = "Fleet(version: 1, name: \"t\", params: { \"docs\": \"here\" },
        root: Supervisor(children: [Provider(id: \"fs\", use: Fs),
        Agent(id: \"a\", module: \"x\", max_attempts: 1,
            grants: [(cap: \"fs\", scope: { \"roots\": [Param(\"docs\")] })])]))";
    let sets = [("docs".to_owned(), "a*b".to_owned())];
    let found = fleet::parse(text, "t", &sets, &World).unwrap_err();
    assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), ["E208"]);
}

#[test]
fn a_finding_shows_file_place_line_caret_path_and_help() {
    let text = "Fleet(version: 1, name: \"t\", root: Supervisor(children: [\n\
                \tSupervisor(id: \"desk\", children: [\n\
                \t\tAgent(id: \"editor\", module: \"x\", restrat: Permanent),\n\t])]))";
    let found = parse(text).unwrap_err();
    let expect = "error[E002]: unknown field of `Agent` `restrat`\n \
                  --> test.ron:3:36\n  |\n\
                  3 | \t\tAgent(id: \"editor\", module: \"x\", restrat: Permanent),\n  \
                  | \t\t                                 ^^^^^^^\n  \
                  = in root/desk/editor\n  = help: did you mean `restart`?\n";
    let finding = found.iter().find(|f| f.code == "E002").unwrap();
    assert_eq!(finding.to_string(), expect);
    let json = serde_json::to_value(finding).unwrap();
    assert_eq!(json["code"], "E002");
    assert_eq!(json["severity"], "error");
    assert_eq!((&json["line"], &json["column"]), (&3.into(), &36.into()));
    assert_eq!(json["path"], "root/desk/editor");
}

#[test]
fn comments_headers_marks_and_line_ends_do_not_matter() {
    let plain = good(
        "Fleet(version: 1, name: \"t\", \
         root: Supervisor(children: [Agent(id: \"a\", module: \"x\")]))",
    );
    for text in [
        "\u{feff}#![enable(implicit_some)]\r\n// fleet\r\n(version: 1,\r\n \
         name: \"t\", /* a /* b */ */ root: Supervisor(children: [/* x /* nested */ too */ \
         Agent /* y */ (id: \"a\" /* z */, module: \"x\"),]))",
        "Fleet(version: 1, name: r#\"t\"#, \
         root: (children: [Agent(id: \"\\u{61}\", module: Some(\"x\"))])) // end",
        "Fleet(root: Supervisor(children: [Agent(module: \"x\", id: \"a\",),],), \
         name: \"t\", version: 1,)",
    ] {
        assert_eq!(good(text), plain, "{text}");
    }
}

#[test]
fn nothing_is_without_a_bound() {
    assert_eq!(codes(""), ["E001"]);
    assert_eq!(codes("\u{feff}"), ["E001"]);
    assert_eq!(codes(&" ".repeat(MAX_TEXT_BYTES + 1)), ["E007"]);
    assert_eq!(codes(&"[".repeat(10_000)), ["E007"]);
    assert_eq!(codes(&"(a:".repeat(10_000)), ["E007"]);
    let nest = |n: usize| {
        let open: String = (1..n).map(|i| format!("Supervisor(id:\"s{i}\",children:[")).collect();
        let inner = "Agent(id:\"a\",module:\"x\",max_attempts:1)";
        let text = format!("{open}{inner}{}", "])".repeat(n - 1));
        format!("Fleet(version:1,name:\"t\",root:Supervisor(children:[{text}]))")
    };
    assert_eq!(codes(&nest(16)), ["W422"]);
    assert_eq!(codes(&nest(17)), ["W422", "E007"]);
    let many: String = (0..2_000).map(|i| format!("f{i}: 1, ")).collect();
    assert_eq!(codes(&format!("Fleet({many})")).len(), 250);
    let children: String =
        (0..1_001).map(|i| format!("Agent(id:\"a{i}\",module:\"x\",max_attempts:1),")).collect();
    let text = format!("Fleet(version:1,name:\"t\",root:Supervisor(children:[{children}]))");
    assert_eq!(codes(&text), ["W422"]);
}

#[test]
fn an_error_beyond_the_bound_of_findings_is_still_an_error() {
    let warned: String = (0..600).map(|i| format!("Supervisor(id:\"s{i}\"),")).collect();
    let text = format!(
        "Fleet(version:1,name:\"t\",root:Supervisor(children:[{warned}]), \
         opening: [(to: \"x\", body: 1)])"
    );
    let found = parse(&text).map(|_| ()).unwrap_err();
    assert!(found.len() <= 500);
    let error = found.iter().find(|f| f.is_error()).unwrap();
    assert_eq!(error.code, "E215");
    // The line is far longer than a terminal: the part around the caret is shown.
    assert!(error.to_string().contains("(to: \"x\", body: 1)"));
    assert!(error.source.chars().count() <= 240 && error.caret <= 161);
}

#[test]
fn a_misspelt_template_is_one_finding() {
    let text = "Fleet(version: 1, name: \"t\", root: Supervisor(strategy: SimpleOneForOne, \
                children: [Agnt(id: \"a\", module: \"x\")]))";
    assert_eq!(codes(text), ["E002"]);
    let text = "Fleet(version: 1, name: \"t\", root: Supervisor(children: 3))";
    assert_eq!(codes(text), ["E005"]);
    assert_eq!(codes("Fleet(version: 1, name: \"t\")"), ["E003"]);
    assert_eq!(codes("Fleet(version: 1, name: \"t\", root: Agent(id: \"a\"))"), ["E005"]);
}

#[test]
fn the_operators_own_grants_are_checked_and_replace_the_default() {
    let with = |grant: &str| {
        format!(
            "Fleet(version: 1, name: \"t\", operator: [{grant}], root: Supervisor(children: [\
             Agent(id: \"a\", module: \"x\", max_attempts: 1)]))"
        )
    };
    assert_eq!(codes(&with("(cap: \"agnt.send\", scope: {})")), ["W433", "E203"]);
    assert_eq!(codes(&with("(cap: \"agent.send\")")), ["W433", "E205"]);
    let fleet = good(&with("(cap: \"agent.send\", scope: { \"to\": [\"*\"] })"));
    assert_eq!(fleet.operator.len(), 1);
    assert_eq!(fleet.operator[0].cap.as_str(), "agent.send");
}

#[test]
fn users_of_a_refused_provider_are_not_blamed() {
    let text = "Fleet(version: 1, name: \"t\", root: Supervisor(children: [\
        Provider(id: \"llm\", use: Llm(modles: [])), Agent(id: \"a\", module: \"x\", max_attempts: 1, \
        grants: [(cap: \"llm.chat\", scope: { \"models\": [\"fast\"] })])]))";
    assert_eq!(codes(text), ["E209"]);
}

#[test]
fn the_fleets_of_the_documentation_are_fleets() {
    let page = include_str!("../../docs/fleet-file.md");
    let blocks = page.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next());
    let fleets: Vec<&str> = blocks.filter(|block| block.starts_with("Fleet(")).collect();
    assert_eq!(fleets.len(), 2);
    for text in fleets {
        good(text);
    }
}

#[test]
fn the_documentation_names_every_field() {
    let page = include_str!("../../docs/fleet-file.md");
    let sources = [
        include_str!("../src/fleet/top.rs"),
        include_str!("../src/fleet/nodes.rs"),
        include_str!("../src/fleet/workers.rs"),
        include_str!("../src/fleet/common.rs"),
        include_str!("../src/fleet/grants.rs"),
        include_str!("../src/fleet/reactions.rs"),
    ];
    let mut count = 0;
    for source in sources {
        let asked = ["take(\"", "take_raw(\"", "need(cx, \""];
        for call in asked {
            for rest in source.split(call).skip(1) {
                let name = rest.split('"').next().unwrap();
                let named =
                    page.contains(&format!("`{name}`")) || page.contains(&format!("{name}:"));
                assert!(named, "docs/fleet-file.md does not name `{name}`");
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count} fields found: the test reads the sources wrongly");
}

#[test]
fn no_finding_quotes_a_secret() {
    let text = "Fleet(version: 1, name: \"t\", root: Supervisor(children: [\n\
        Provider(id: \"llm\", use: Llm(key: \"ghp_0123456789abcdef\", modles: [])),\n\
        Agent(id: \"a\", modul: 1, settings: { \"password\": \"schön\" }, max_attempts: 1)]))";
    for text in [text.to_owned(), text.replace("modles: [", "modles: [)")] {
        let found = parse(&text).map(|_| ()).unwrap_err();
        let shown: String = found.iter().map(ToString::to_string).collect();
        assert!(!shown.contains("ghp_") && !shown.contains("schön"), "{shown}");
        assert!(shown.contains("\"********************\""), "{shown}");
    }
}

#[test]
fn order_matters_only_where_a_restart_keeps_it() {
    let with = |strategy: &str| {
        format!(
            "Fleet(version: 1, name: \"t\", root: Supervisor(strategy: {strategy}, children: [\
             Agent(id: \"a\", module: \"x\", max_attempts: 1, \
             grants: [(cap: \"llm\", scope: {{ \"models\": [\"fast\"] }})]), \
             Provider(id: \"llm\", use: Llm(models: []))]))"
        )
    };
    assert_eq!(codes(&with("OneForOne")), [""; 0]);
    assert_eq!(codes(&with("RestForOne")), ["E212"]);
}

#[test]
fn reading_takes_time_in_proportion_to_the_file() {
    // Wrong fields on one long line, hostile to the search for doubles: in proportion
    // means ten times as long, each against each would be a hundred times.
    let time = |count: usize| {
        let fields: String = (0..count).map(|i| format!("f{i}: 1, ")).collect();
        let start = std::time::Instant::now();
        assert_eq!(codes(&format!("Fleet({fields})")).len(), 250);
        start.elapsed()
    };
    let (short, long) = (time(10_000).max(time(10_000)), time(100_000));
    assert!(long < short * 30, "{short:?} for 10,000 fields, {long:?} for 100,000");
}
