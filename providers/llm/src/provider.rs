//! `llm.chat` and `llm.models`.

use crate::config::{Api, LlmConfig, Price};
use crate::model::{ChatAnswer, ChatMessage, ChatRequest, Model, Usage};
use crate::worker::Embedded;
use loket_contract::{
    CallView, Flow, Operation, Performed, Provider, ScopeForm, ScopeKey, parse_args,
};
use loket_turn::{EffectClass, Failure, Used};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Messages of one chat at most: a longer talk belongs in the agent's memory.
const MESSAGES_MAX: usize = 256;

/// Tokens of an answer when the caller does not say.
const OUTPUT_TOKENS_DEFAULT: u32 = 1024;

/// Tokens that a model's chat template puts around a message at most: role, separators.
const TOKENS_AROUND_MESSAGE: u64 = 16;

const MODELS: ScopeKey = ScopeKey { name: "models", mandatory: true, form: ScopeForm::Names };
const TOKENS: ScopeKey =
    ScopeKey { name: "max_output_tokens", mandatory: false, form: ScopeForm::AtMost };

/// What it serves.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        capability: "llm.chat",
        class: EffectClass::Keyed,
        scope: &[MODELS, TOKENS],
        flow: Flow::NONE,
        tokens: true,
        summary: "an answer of a model",
    },
    Operation {
        capability: "llm.models",
        class: EffectClass::Observe,
        scope: &[MODELS, TOKENS],
        flow: Flow::NONE,
        tokens: false,
        summary: "the models that the grant allows",
    },
];

/// The provider.
pub struct LlmProvider {
    models: BTreeMap<String, (Rc<dyn Model>, Option<Price>)>,
}

impl LlmProvider {
    /// A provider of the configured models.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(config: &LlmConfig) -> std::io::Result<Self> {
        let mut embedded: Option<Rc<dyn Model>> = None;
        let mut models = BTreeMap::new();
        for model in &config.models {
            let backend = match model.api {
                Api::Extractive => match &embedded {
                    Some(shared) => Rc::clone(shared),
                    None => Rc::clone(embedded.insert(Rc::new(Embedded::start()?))),
                },
            };
            models.insert(model.name.clone(), (backend, model.price));
        }
        Ok(Self { models })
    }
}

/// What a call has become after its check.
pub enum Prepared {
    /// Ask this model.
    Chat(Rc<dyn Model>, ChatRequest, Option<Price>),
    /// Name these.
    Models(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatArgs {
    model: String,
    messages: Vec<ChatMessage>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsArgs {}

impl Provider for LlmProvider {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let scope = call.scope();
        if call.operation.capability == "llm.models" {
            let ModelsArgs {} = parse_args(call)?;
            let allowed = self.models.keys().filter(|name| scope.allows("models", name));
            return Ok(Prepared::Models(allowed.cloned().collect()));
        }
        let args: ChatArgs = parse_args(call)?;
        if !scope.allows("models", &args.model) {
            let text = format!(
                "the grant does not allow model {0:?}; add it: scope: {{\"models\": [\"{0}\"]}}",
                args.model
            );
            return Err(Failure::new("out_of_scope", text));
        }
        let Some((model, price)) = self.models.get(&args.model) else {
            let known: Vec<_> = self.models.keys().map(String::as_str).collect();
            let text = format!("no model {:?}; there are: {}", args.model, known.join(", "));
            return Err(Failure::new("not_found", text));
        };
        if args.messages.is_empty() || args.messages.len() > MESSAGES_MAX {
            let text =
                format!("a chat has 1 to {MESSAGES_MAX} messages, not {}", args.messages.len());
            return Err(Failure::new("bad_args", text));
        }
        let wanted = args.max_output_tokens.unwrap_or(OUTPUT_TOKENS_DEFAULT);
        let allowed = scope.at_most("max_output_tokens").unwrap_or(u64::from(u32::MAX));
        let request = ChatRequest {
            model: args.model,
            messages: args.messages,
            max_output_tokens: wanted.min(u32::try_from(allowed).unwrap_or(u32::MAX)),
            key: call.turn.map(|turn| turn.call_key()),
        };
        Ok(Prepared::Chat(Rc::clone(model), request, *price))
    }

    fn uses_at_most(&self, prepared: &Prepared) -> Used {
        match prepared {
            Prepared::Models(_) => Used::NOTHING,
            Prepared::Chat(_, request, price) => most(request, *price),
        }
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        match prepared {
            Prepared::Models(names) => Performed::json(&serde_json::json!({"models": names})),
            Prepared::Chat(model, request, price) => {
                let answering = model.chat(request);
                Performed::Later(Box::pin(async move {
                    match answering.await {
                        Ok(answer) => paid(&answer, price),
                        Err(failure) => Performed::failed(failure),
                    }
                }))
            }
        }
    }
}

/// The most that a chat uses: no token is shorter than a byte.
fn most(request: &ChatRequest, price: Option<Price>) -> Used {
    let input = request
        .messages
        .iter()
        .map(|message| (message.content.len() as u64).saturating_add(TOKENS_AROUND_MESSAGE));
    used(input.fold(0, u64::saturating_add), u64::from(request.max_output_tokens), price)
}

fn used(input_tokens: u64, output_tokens: u64, price: Option<Price>) -> Used {
    let money = price.map_or(0, |price| price.of(input_tokens, output_tokens));
    Used { tokens: input_tokens.saturating_add(output_tokens), money }
}

/// An answer, and what it cost.
fn paid(answer: &ChatAnswer, price: Option<Price>) -> Performed {
    let Usage { input_tokens, output_tokens } = answer.usage;
    let used = used(input_tokens, output_tokens, price);
    match Performed::json(answer) {
        Performed::Done(outcome) => Performed::Paid { outcome, used },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::parse_config;
    use loket_contract::kit::Caller;
    use loket_kernel::{Bound, Pattern, Scope};
    use serde_json::json;

    fn caller() -> Caller {
        let mut scope = Scope::new();
        scope.insert("models", Bound::Names(vec![Pattern::parse("default").unwrap()]));
        scope.insert("max_output_tokens", Bound::AtMost(2));
        Caller::new("a", "llm", scope)
    }

    #[test]
    fn the_scope_is_enforced_here() {
        let mut llm = LlmProvider::new(&parse_config("()").unwrap()).unwrap();
        let ask =
            |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "?"}]});
        let refused = caller().prepare(&mut llm, "llm.chat", &ask("other")).err().unwrap();
        assert_eq!(refused.code, "out_of_scope");
        let Prepared::Chat(_, request, _) =
            caller().prepare(&mut llm, "llm.chat", &ask("default")).unwrap()
        else {
            panic!("a chat")
        };
        assert_eq!(request.max_output_tokens, 2, "the grant's bound is above the caller's wish");
        assert!(request.key.is_some(), "rule C3: a paid call has a key");
    }

    #[test]
    fn a_chat_is_answered_off_the_lane() {
        let config = "(models: [(name: \"default\", api: Extractive, price: (input: \"2\", output: \"10\"))])";
        let mut llm = LlmProvider::new(&parse_config(config).unwrap()).unwrap();
        let ask = json!({"model": "default", "messages": [
            {"role": "system", "content": "Brains are files."}, {"role": "user", "content": "What are brains?"}]});
        let prepared = caller().prepare(&mut llm, "llm.chat", &ask).unwrap();
        let most = llm.uses_at_most(&prepared);
        let Performed::Later(later) = llm.perform(prepared) else { panic!("off the lane") };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Performed::Paid { outcome: Ok(answer), used } = runtime.block_on(later) else {
            panic!("an answer")
        };
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["content"], "Brains are");
        assert_eq!(answer["finish"], "length");
        let told = [&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]];
        let [input, output] = told.map(|it| it.as_u64().unwrap());
        assert_eq!(used, Used { tokens: input + output, money: 2 * input + 10 * output });
        assert!(
            used.tokens > 0 && used.tokens <= most.tokens,
            "more than was reserved: {used:?} of {most:?}"
        );
        assert!(used.money <= most.money, "more than was reserved: {used:?} of {most:?}");
    }
}
