//! `wasi:*` imports of a component: satisfied in type, denied in effect.
//!
//! Toolchains import WASI out of habit; a guest that never calls it should run, and one that does must learn what it called.
//! Nothing here may ever do what the import's name says.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

use super::run::State;

/// The prefix of the imports that are denied at the call, not at load.
pub(super) const WASI: &str = "wasi:";

/// A guest called a denied import.
#[derive(Debug, thiserror::Error)]
#[error("{import} is denied")]
pub(super) struct DeniedImport {
    /// `interface#function`.
    pub(super) import: String,
}

/// Defines every `wasi:*` instance that `component` imports, each function of it as an error that names it.
pub(super) fn deny_wasi(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        if !name.starts_with(WASI) {
            continue;
        }
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            deny(&mut linker.instance(name)?, name, &instance, &engine)?;
        }
    }
    Ok(())
}

fn deny(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    instance: &ComponentInstance,
    engine: &wasmtime::Engine,
) -> wasmtime::Result<()> {
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let import = format!("{interface}#{name}");
                linker.func_new(name, move |_, _, _, _| {
                    Err(DeniedImport { import: import.clone() }.into())
                })?;
            }
            // No function ever makes one, so there is never one to drop.
            ComponentItem::Resource(_) => {
                linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}
