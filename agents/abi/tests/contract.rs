//! The constants and vectors against the WIT text itself, as the component tools read it.
#![allow(clippy::unwrap_used, missing_docs)]

use loket_abi as abi;
use serde_json::{Value, json};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind, TypeId, WorldId, WorldItem};

fn world() -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("loket.wit", abi::WIT).unwrap();
    let world = resolve.select_world(&[package], Some(abi::WORLD)).unwrap();
    (resolve, world)
}

fn call(resolve: &Resolve) -> Function {
    let (_, counter) =
        resolve.interfaces.iter().find(|(_, i)| i.name.as_deref() == Some("counter")).unwrap();
    counter.functions[abi::CALL].clone()
}

fn handle(resolve: &Resolve, world: WorldId) -> Function {
    let found = resolve.worlds[world].exports.values().find_map(|item| match item {
        WorldItem::Function(f) if f.name == abi::HANDLE => Some(f.clone()),
        _ => None,
    });
    found.unwrap()
}

fn names(types: &[WasmType]) -> Value {
    let name = |t: &WasmType| match t {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        other => panic!("no {other:?} in the contract"),
    };
    Value::from(types.iter().map(name).collect::<Vec<_>>())
}

fn agrees(signature: &WasmSignature, vector: &Value) {
    assert_eq!(names(&signature.params), vector["params"]);
    assert_eq!(names(&signature.results), vector["results"]);
}

fn vectors() -> Value {
    serde_json::from_str(abi::VECTORS).unwrap()
}

#[test]
fn core_signatures_are_those_of_the_vectors() {
    let (resolve, world) = world();
    let vectors = vectors();
    agrees(
        &resolve.wasm_signature(AbiVariant::GuestImport, &call(&resolve)),
        &vectors["core_import"],
    );
    agrees(
        &resolve.wasm_signature(AbiVariant::GuestExport, &handle(&resolve, world)),
        &vectors["core_export"],
    );
    assert_eq!(vectors["core_import"]["module"], abi::COUNTER);
}

fn named(resolve: &Resolve, name: &str) -> TypeId {
    let found = resolve
        .types
        .iter()
        .find(|(_, t)| t.name.as_deref() == Some(name) && matches!(t.kind, TypeDefKind::Record(_)));
    found.unwrap().0
}

#[test]
fn layouts_are_those_of_the_vectors() {
    let (resolve, world) = world();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve);
    let vectors = vectors();
    for record in ["message", "failure"] {
        let id = named(&resolve, record);
        let want = &vectors["layouts"][record];
        assert_eq!(json!(sizes.size(&Type::Id(id)).size_wasm32()), want["size"], "{record}");
        assert_eq!(json!(sizes.align(&Type::Id(id)).align_wasm32()), want["align"], "{record}");
        let TypeDefKind::Record(r) = &resolve.types[id].kind else {
            panic!("{record} is a record")
        };
        let offsets = sizes.field_offsets(r.fields.iter().map(|f| &f.ty));
        for (field, (offset, _)) in r.fields.iter().zip(offsets) {
            assert_eq!(
                json!(offset.size_wasm32()),
                want["fields"][&field.name],
                "{record}.{}",
                field.name
            );
        }
    }
    let result = handle(&resolve, world).result.unwrap();
    assert_eq!(sizes.size(&result).size_wasm32(), abi::RESULT_BYTES);
    assert_eq!(sizes.align(&result).align_wasm32(), abi::RESULT_ALIGN);
    assert_eq!(vectors["layouts"]["result"]["size"], abi::RESULT_BYTES);
    assert_eq!(vectors["layouts"]["result"]["align"], abi::RESULT_ALIGN);
}

/// Writes a result by the offsets of the `layouts` table, so that table and bytes cannot drift apart.
fn encode(case: &Value, layouts: &Value) -> Vec<u8> {
    let mut out = vec![0u8; abi::RESULT_BYTES];
    let at = |v: &Value| usize::try_from(v.as_u64().unwrap()).unwrap();
    let mut pair = |offset: usize, v: &Value| {
        out[offset..offset + 4]
            .copy_from_slice(&u32::try_from(v["ptr"].as_u64().unwrap()).unwrap().to_le_bytes());
        out[offset + 4..offset + 8]
            .copy_from_slice(&u32::try_from(v["len"].as_u64().unwrap()).unwrap().to_le_bytes());
    };
    let payload = at(&layouts["result"]["payload"]);
    if let Some(ok) = case.get("ok") {
        pair(payload, ok);
        return out;
    }
    let (failure, fields) = (&case["failure"], &layouts["failure"]["fields"]);
    pair(payload + at(&fields["code"]), &failure["code"]);
    pair(payload + at(&fields["message"]), &failure["message"]);
    out[0] = 1;
    out[payload + at(&fields["retryable"])] = u8::from(failure["retryable"].as_bool().unwrap());
    if let Some(ms) = failure["retry_after_ms"].as_u64() {
        let option = payload + at(&fields["retry-after-ms"]);
        out[option] = 1;
        out[option + 8..option + 16].copy_from_slice(&ms.to_le_bytes());
    }
    out
}

#[test]
fn result_vectors_follow_the_layout() {
    let vectors = vectors();
    for case in vectors["results"].as_array().unwrap() {
        let bytes = hex::encode(encode(case, &vectors["layouts"]));
        assert_eq!(json!(bytes), case["bytes"], "{}", case["name"]);
    }
}

#[test]
fn the_echo_guest_is_a_component_of_the_world() {
    let (resolve, world) = world();
    let mut core = wat::parse_str(abi::ECHO_WAT).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut core, &resolve, world, utf8).unwrap();
    let mut encoder =
        wit_component::ComponentEncoder::default().validate(true).module(&core).unwrap();
    let component = encoder.encode().unwrap();
    wit_component::decode(&component).unwrap();
}
