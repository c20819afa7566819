//! The world outside for the tests of the fleet file: a few providers, modules and capabilities.
#![allow(dead_code)]

use loket_supervision::fleet::{
    CapabilityFact, Catalog, ConfigError, Flow, ModuleFact, ProviderFacts, ScopeForm, ScopeKey,
};

/// A catalogue with the providers and modules that the test files name.
pub(crate) struct World;

fn fact(name: &str, names: &[&str], at_most: &[&str]) -> CapabilityFact {
    // A `!` marks a mandatory key.
    let key = |name: &&str, form| ScopeKey {
        name: name.trim_end_matches('!').to_owned(),
        mandatory: name.ends_with('!'),
        form,
    };
    let names = names.iter().map(|n| key(n, ScopeForm::Names));
    let at_most = at_most.iter().map(|n| key(n, ScopeForm::AtMost));
    let flow = match name {
        "fs.read" => Flow::PRIVATE,
        "mcp.github.*" => Flow::OUTSIDE,
        _ => Flow::NONE,
    };
    let (scope_keys, tokens) = (names.chain(at_most).collect(), name == "llm.chat");
    CapabilityFact { name: name.to_owned(), scope_keys, flow, tokens, priced: false }
}

impl Catalog for World {
    fn provider_kinds(&self) -> Vec<String> {
        ["Llm", "Fs", "Mcp", "Chaos"].map(str::to_owned).to_vec()
    }

    fn check_provider(&self, kind: &str, config: &str) -> Result<ProviderFacts, ConfigError> {
        let capabilities = match kind {
            "Llm" => {
                if let Some(at) = config.find("modles") {
                    let message = "unknown field `modles`".to_owned();
                    return Err(ConfigError { message, offset: Some(at) });
                }
                vec![
                    fact("llm.chat", &["models!"], &["max_output_tokens"]),
                    fact("llm.models", &["models!"], &[]),
                ]
            }
            "Fs" => vec![
                fact("fs.list", &["roots!"], &["max_bytes"]),
                fact("fs.read", &["roots!"], &["max_bytes"]),
            ],
            "Mcp" => vec![fact("mcp.github.*", &["tools"], &[])],
            _ => vec![fact("chaos.kill", &["children!"], &[])],
        };
        Ok(ProviderFacts { capabilities })
    }

    fn builtin_capabilities(&self) -> Vec<CapabilityFact> {
        vec![
            fact("store.brain.kv.get", &[], &[]),
            fact("store.brain.kv.put", &[], &[]),
            fact("store.brain.memory.add", &[], &[]),
            fact("time.now", &[], &[]),
            fact("log.write", &[], &[]),
            fact("random.bytes", &[], &[]),
            fact("agent.send", &["to!"], &[]),
            fact("agent.call", &["to!"], &[]),
            fact("agent.spawn", &["under!"], &[]),
            fact("agent.kill", &["children!"], &[]),
        ]
    }

    fn system_names(&self) -> Vec<String> {
        ["kernel", "store", "log"].map(str::to_owned).to_vec()
    }

    fn module(&self, reference: &str) -> ModuleFact {
        match reference {
            "missing.wasm" => ModuleFact::Missing("no such file".to_owned()),
            "wrong.wasm" => ModuleFact::Invalid {
                code: "import_not_offered".to_owned(),
                message: "it imports wasi:cli/environment".to_owned(),
            },
            _ => ModuleFact::Ok,
        }
    }
}
