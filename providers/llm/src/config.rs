//! What the fleet file says behind `use: Llm`.

use serde::Deserialize;

/// Models of one provider at most: a name each, chosen by hand.
const MODELS_MAX: usize = 64;

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
}

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Api {
    /// The embedded sentence picker.
    Extractive,
}

fn embedded() -> Vec<ModelConfig> {
    vec![ModelConfig { name: "default".to_owned(), api: Api::Extractive }]
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
    fn what_is_wrong_is_told() {
        for (ron, part) in [
            ("(models: [])", "1 to"),
            ("(models: [(name: \"a\", api: Extractive), (name: \"a\", api: Extractive)])", "two"),
            ("(models: [(name: \"a\", api: Magic)])", "Magic"),
            ("(modles: [])", "modles"),
        ] {
            let (message, _) = parse_config(ron).unwrap_err();
            assert!(message.contains(part), "{ron}: {message}");
        }
    }
}
