//! A fleet file as the JSON that the schema speaks of, and as much of a validator as the schema needs.
//!
//! `Kind(..)` becomes an object with the one key `Kind`, a word a string, named fields an object.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The file as JSON. It must be RON that the reader accepts.
pub(crate) fn to_json(text: &str) -> Value {
    let mut reader = Reader { rest: text };
    let mut fleet = unwrap(reader.value(), "Fleet");
    let root = fleet["root"].take();
    fleet["root"] = match root.get("Some") {
        Some(inner) => json!({"Some": unwrap(inner.clone(), "Supervisor")}),
        None => unwrap(root, "Supervisor"),
    };
    fleet
}

/// The fields of a struct whose name may be left out.
fn unwrap(mut value: Value, name: &str) -> Value {
    match value.get_mut(name) {
        Some(inner) => inner.take(),
        None => value,
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(line) = self.rest.strip_prefix("//") {
                self.rest = line.find('\n').map_or("", |end| &line[end..]);
            } else if let Some(block) = self.rest.strip_prefix("/*") {
                // None of the files nests them.
                self.rest = &block[block.find("*/").unwrap() + 2..];
            } else {
                return;
            }
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        self.space();
        let found = self.rest.strip_prefix(word);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self) -> Option<&'a str> {
        self.space();
        let end = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric());
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if !word.starts_with(|c: char| c == '_' || c.is_alphabetic()) || rest.starts_with('"') {
            return None;
        }
        // `r#"..."#`
        if word == "r" && rest.starts_with('#') {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn value(&mut self) -> Value {
        match self.word() {
            Some("true") => return json!(true),
            Some("false") => return json!(false),
            Some(word) if self.eat("(") => return json!({word: self.group()}),
            Some(word) => return json!(word),
            None => {}
        }
        if self.eat("[") {
            let mut all = Vec::new();
            while !self.eat("]") {
                all.push(self.value());
                self.eat(",");
            }
            return Value::Array(all);
        }
        if self.eat("{") {
            let mut all = Map::new();
            while !self.eat("}") {
                let key = self.value().as_str().unwrap().to_owned();
                assert!(self.eat(":"));
                all.insert(key, self.value());
                self.eat(",");
            }
            return Value::Object(all);
        }
        if self.eat("(") {
            return self.group();
        }
        self.scalar()
    }

    /// What is in parentheses: named fields, or one value.
    fn group(&mut self) -> Value {
        let mut fields = Map::new();
        let mut first = true;
        while !self.eat(")") {
            let before = self.rest;
            match self.word() {
                Some(name) if self.eat(":") => {
                    fields.insert(name.to_owned(), self.value());
                }
                _ => {
                    assert!(first, "one value: {before:.40}");
                    self.rest = before;
                    let inner = self.value();
                    self.eat(",");
                    assert!(self.eat(")"), "{:.40}", self.rest);
                    return inner;
                }
            }
            first = false;
            self.eat(",");
        }
        Value::Object(fields)
    }

    fn scalar(&mut self) -> Value {
        let end = match self.rest.strip_prefix('"') {
            Some(text) => {
                let mut escaped = false;
                let ends = |(_, c): &(usize, char)| {
                    let end = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    end
                };
                text.char_indices().find(ends).unwrap().0 + 2
            }
            None if self.rest.starts_with('r') => {
                let hashes = self.rest[1..].find('"').unwrap();
                let close = format!("\"{}", "#".repeat(hashes));
                let from = hashes + 2;
                from + self.rest[from..].find(&close).unwrap() + close.len()
            }
            None => self.rest.find([',', ')', ']', '}', '\n', ' ']).unwrap_or(self.rest.len()),
        };
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(text) = ron::from_str::<String>(text) {
            return json!(text);
        }
        if let Ok(number) = ron::from_str::<u64>(text) {
            return json!(number);
        }
        json!(ron::from_str::<f64>(text).unwrap_or_else(|_| panic!("no scalar: {text:.40}")))
    }
}

/// Where a value does not fit, if it does not.
pub(crate) fn misfit(value: &Value, form: &Value, schema: &Value, path: &str) -> Option<String> {
    for (word, rule) in form.as_object().unwrap() {
        let wrong = |what: &str| Some(format!("{path}: {value} is not {what} {rule}"));
        let found = match word.as_str() {
            "$ref" => {
                let to = rule.as_str().unwrap().strip_prefix('#').unwrap();
                misfit(value, schema.pointer(to).unwrap(), schema, path)
            }
            "anyOf" => {
                let tried: Vec<_> =
                    each(rule).map(|form| misfit(value, form, schema, path)).collect();
                let fits = tried.iter().any(Option::is_none);
                // The first form is the usual one: what is wrong with it says most.
                if fits { None } else { tried.into_iter().next().unwrap() }
            }
            "enum" => (!each(rule).any(|one| one == value)).then(|| wrong("one of")).flatten(),
            "const" => (rule != value).then(|| wrong("the word")).flatten(),
            "type" => (!is_a(value, rule.as_str().unwrap())).then(|| wrong("a")).flatten(),
            "minimum" => less(value, rule).then(|| wrong("at least")).flatten(),
            "maximum" => less(rule, value).then(|| wrong("at most")).flatten(),
            "minLength" => length(value)
                .is_some_and(|n| Some(n) < rule.as_u64())
                .then(|| wrong("as long as"))
                .flatten(),
            "maxLength" => length(value)
                .is_some_and(|n| Some(n) > rule.as_u64())
                .then(|| wrong("as short as"))
                .flatten(),
            "minItems" => items(value)
                .is_some_and(|n| Some(n) < rule.as_u64())
                .then(|| wrong("as many as"))
                .flatten(),
            "maxItems" => items(value)
                .is_some_and(|n| Some(n) > rule.as_u64())
                .then(|| wrong("as few as"))
                .flatten(),
            "not" => misfit(value, rule, schema, path).is_none().then(|| wrong("but")).flatten(),
            "pattern" => {
                let fits = value.as_str().is_none_or(|text| fits(text, rule.as_str().unwrap()));
                (!fits).then(|| wrong("of the pattern")).flatten()
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(at, item)| misfit(item, rule, schema, &format!("{path}/{at}"))),
            "required" => each(rule)
                .find(|name| value.is_object() && value.get(name.as_str().unwrap()).is_none())
                .and_then(|name| wrong(&format!("with {name}, of"))),
            "properties" => value.as_object().into_iter().flatten().find_map(|(name, inner)| {
                misfit(inner, rule.get(name)?, schema, &format!("{path}/{name}"))
            }),
            "additionalProperties" => value
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| form["properties"].get(name).is_none())
                .find_map(|(name, inner)| match rule {
                    Value::Bool(false) => Some(format!("{path}: no field {name}")),
                    form => misfit(inner, form, schema, &format!("{path}/{name}")),
                }),
            "$schema" | "title" | "description" | "$defs" => None,
            other => panic!("the schema has a word that this validator does not know: {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn each(list: &Value) -> std::slice::Iter<'_, Value> {
    list.as_array().unwrap().iter()
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("{other}"),
    }
}

/// Long lists ask for the same few patterns again and again.
fn fits(text: &str, pattern: &str) -> bool {
    static KNOWN: Mutex<BTreeMap<String, regex::Regex>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let compile = || regex::Regex::new(pattern).unwrap();
    known.entry(pattern.to_owned()).or_insert_with(compile).is_match(text)
}

/// Whether both are numbers, and this one is the smaller; whole ones exactly.
fn less(value: &Value, than: &Value) -> bool {
    match (value.as_u64(), than.as_u64()) {
        (Some(value), Some(than)) => value < than,
        _ => value.as_f64().zip(than.as_f64()).is_some_and(|(value, than)| value < than),
    }
}

/// Of a text; none of anything else.
fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn items(value: &Value) -> Option<u64> {
    value.as_array().map(|all| all.len() as u64)
}
