//! Arguments as JSON, and the bounds on them.

use super::Op;
use crate::brain::memory::Item;
use crate::brain::{query, too_large};
use crate::limits::{
    ADD_BYTES_MAX, FORGET_IDS_MAX, HITS, HITS_MAX, ITEMS_MAX, KEY_BYTES_MAX, LIST_ENTRIES,
    LIST_ENTRIES_MAX, META_BYTES_MAX, SOURCE_BYTES_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX,
};
use loket_turn::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// How much freshness weighs when the guest says nothing.
const RECENCY: f64 = 0.1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyArgs {
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutArgs {
    key: String,
    value: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArgs {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// Either one item or `items`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddArgs {
    text: Option<String>,
    source: Option<String>,
    meta: Option<Box<RawValue>>,
    items: Option<Vec<ItemArgs>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemArgs {
    text: String,
    source: Option<String>,
    meta: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArgs {
    query: String,
    limit: Option<usize>,
    recency: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgetArgs {
    ids: Option<Vec<i64>>,
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountArgs {
    source: Option<String>,
}

/// See [`Op::parse`].
pub(super) fn parse(capability: &str, args: &[u8]) -> Result<Op, Failure> {
    match capability {
        "store.brain.kv.get" => Ok(Op::Get { key: key(read::<KeyArgs>(capability, args)?.key)? }),
        "store.brain.kv.put" => {
            let args: PutArgs = read(capability, args)?;
            bytes("the value", args.value.get(), VALUE_BYTES_MAX)?;
            Ok(Op::Put { key: key(args.key)?, value: args.value })
        }
        "store.brain.kv.delete" => {
            Ok(Op::Delete { key: key(read::<KeyArgs>(capability, args)?.key)? })
        }
        "store.brain.kv.list" => list(read(capability, args)?),
        "store.brain.memory.add" => add(read(capability, args)?),
        "store.brain.memory.search" => search(read(capability, args)?),
        "store.brain.memory.forget" => forget(read(capability, args)?),
        "store.brain.memory.count" => {
            Ok(Op::Count { source: source(read::<CountArgs>(capability, args)?.source)? })
        }
        _ => Err(Failure::new("unknown_operation", format!("the store has no {capability}"))),
    }
}

/// Reads arguments; none at all are an empty object.
pub(crate) fn read<T: DeserializeOwned>(capability: &str, args: &[u8]) -> Result<T, Failure> {
    let args = if args.is_empty() { b"{}" } else { args };
    serde_json::from_slice(args)
        .map_err(|error| bad(format!("the arguments of {capability}: {error}")))
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new("bad_args", message)
}

fn bytes(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    if text.len() > limit {
        return Err(too_large(what, text.len(), limit, "bytes"));
    }
    Ok(())
}

fn key(key: String) -> Result<String, Failure> {
    bytes("the key", &key, KEY_BYTES_MAX)?;
    Ok(key)
}

fn source(source: Option<String>) -> Result<Option<String>, Failure> {
    if let Some(source) = &source {
        bytes("the source", source, SOURCE_BYTES_MAX)?;
    }
    Ok(source)
}

fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Failure> {
    match asked.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(bad(format!("limit is {limit}; it must be between 1 and {most}"))),
    }
}

fn list(args: ListArgs) -> Result<Op, Failure> {
    bytes("the prefix", &args.prefix, KEY_BYTES_MAX)?;
    bytes("after", args.after.as_deref().unwrap_or_default(), KEY_BYTES_MAX)?;
    let limit = limit(args.limit, LIST_ENTRIES, LIST_ENTRIES_MAX)?;
    Ok(Op::List { prefix: args.prefix, after: args.after, limit })
}

fn add(args: AddArgs) -> Result<Op, Failure> {
    let AddArgs { text, source, meta, items } = args;
    let items = match (text, items) {
        (Some(text), None) => vec![ItemArgs { text, source, meta }],
        (None, Some(items)) if source.is_none() && meta.is_none() => items,
        (None, Some(_)) => return Err(bad("source and meta belong into the items")),
        _ => return Err(bad("either text or items must be given")),
    };
    if items.len() > ITEMS_MAX {
        return Err(too_large("one call", items.len(), ITEMS_MAX, "items"));
    }
    let sum = items.iter().map(|item| item.text.len()).sum();
    let items = items.into_iter().map(item).collect::<Result<_, _>>()?;
    if sum > ADD_BYTES_MAX {
        return Err(too_large("one call", sum, ADD_BYTES_MAX, "bytes of text"));
    }
    Ok(Op::Add { items })
}

fn item(args: ItemArgs) -> Result<Item, Failure> {
    bytes("the text", &args.text, TEXT_BYTES_MAX)?;
    if let Some(meta) = &args.meta {
        bytes("the meta", meta.get(), META_BYTES_MAX)?;
    }
    Ok(Item { text: args.text, source: source(args.source)?, meta: args.meta })
}

fn search(args: SearchArgs) -> Result<Op, Failure> {
    let recency = args.recency.unwrap_or(RECENCY);
    if !(0.0..=1.0).contains(&recency) {
        return Err(bad(format!("recency is {recency}; it must be between 0 and 1")));
    }
    let limit = limit(args.limit, HITS, HITS_MAX)?;
    Ok(Op::Search { terms: query::terms(&args.query)?, limit, recency })
}

fn forget(args: ForgetArgs) -> Result<Op, Failure> {
    if args.ids.is_none() && args.source.is_none() {
        return Err(bad("ids or source must be given"));
    }
    let ids = args.ids.as_ref().map_or(0, Vec::len);
    if ids > FORGET_IDS_MAX {
        return Err(too_large("one call", ids, FORGET_IDS_MAX, "ids"));
    }
    Ok(Op::Forget { ids: args.ids, source: source(args.source)? })
}
