//! What the fleet file says behind `use: Llm`.

use serde::Deserialize;

/// Models of one provider at most: a name each, chosen by hand.
const MODELS_MAX: usize = 64;

/// Tokens that a price is for.
const A_MILLION: u128 = 1_000_000;

/// `Llm(models: [...])`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    /// The models it serves.
    #[serde(default = "embedded")]
    pub models: Vec<ModelConfig>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name that agents use and grants name in `models`.
    pub name: String,
    /// What answers.
    pub api: Api,
    /// What its tokens cost; without it a budget counts no money for it.
    #[serde(default)]
    pub price: Option<Price>,
}

/// What a million tokens cost, in millionths of the currency: so many millionths of a millionth for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens that are read.
    #[serde(deserialize_with = "money")]
    pub input: u64,
    /// Tokens that are written.
    #[serde(deserialize_with = "money")]
    pub output: u64,
}

impl Price {
    /// What so many tokens cost, in millionths; the last part of one counts whole.
    pub fn of(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let cost = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let all = cost(input_tokens, self.input) + cost(output_tokens, self.output);
        u64::try_from(all.div_ceil(A_MILLION)).unwrap_or(u64::MAX)
    }
}

fn money<'de, D: serde::Deserializer<'de>>(raw: D) -> Result<u64, D::Error> {
    raw.deserialize_any(Money)
}

/// Reads an amount; what else stands there is told with what it should be.
struct Money;

impl serde::de::Visitor<'_> for Money {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the price of a million tokens as a string, such as \"2.50\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        loket_supervision::fleet::money(text).map_err(E::custom)
    }
}

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Api {
    /// The embedded sentence picker.
    Extractive,
}

fn embedded() -> Vec<ModelConfig> {
    vec![ModelConfig { name: "default".to_owned(), api: Api::Extractive, price: None }]
}

/// Reads the RON behind `Llm`.
///
/// # Errors
/// What is wrong, and the byte offset where it is known.
pub fn parse_config(ron: &str) -> Result<LlmConfig, (String, Option<usize>)> {
    let options =
        ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let config: LlmConfig = options.from_str(ron).map_err(|error| {
        let offset = offset_of(ron, error.span.start.line, error.span.start.col);
        (error.code.to_string(), offset)
    })?;
    if config.models.is_empty() || config.models.len() > MODELS_MAX {
        return Err((format!("`models` holds 1 to {MODELS_MAX} models"), None));
    }
    for (index, model) in config.models.iter().enumerate() {
        if model.name.is_empty() || model.name.contains(['*', '/']) {
            return Err((format!("{:?} is no name for a model", model.name), None));
        }
        if config.models[..index].iter().any(|other| other.name == model.name) {
            return Err((format!("two models are named {:?}", model.name), None));
        }
    }
    Ok(config)
}

fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    Some(start + column.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_embedded_model_is_the_default() {
        assert_eq!(parse_config("()").unwrap().models, embedded());
    }

    #[test]
    fn a_price_is_for_a_million_tokens_and_rounded_up() {
        let ron =
            "(models: [(name: \"a\", api: Extractive, price: (input: \"3\", output: \"15.50\"))])";
        let price = parse_config(ron).unwrap().models[0].price.unwrap();
        assert_eq!((price.of(1_000_000, 0), price.of(0, 1_000_000)), (3_000_000, 15_500_000));
        assert_eq!((price.of(1, 0), price.of(0, 1), price.of(1, 1)), (3, 16, 19));
        assert_eq!(price.of(0, 0), 0);
        assert_eq!(price.of(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (ron, part) in [
            ("(models: [])", "1 to"),
            ("(models: [(name: \"a\", api: Extractive), (name: \"a\", api: Extractive)])", "two"),
            ("(models: [(name: \"a\", api: Magic)])", "Magic"),
            ("(modles: [])", "modles"),
            (
                "(models: [(name: \"a\", api: Extractive, price: (input: \"3 EUR\", output: \"1\"))])",
                "2.50",
            ),
            (
                "(models: [(name: \"a\", api: Extractive, price: (input: 0.25, output: \"1\"))])",
                "price of a million tokens as a string",
            ),
        ] {
            let (message, _) = parse_config(ron).unwrap_err();
            assert!(message.contains(part), "{ron}: {message}");
        }
    }
}
