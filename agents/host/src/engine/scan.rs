//! A look at a module's bytes before anything is compiled: what it is, what it imports, how big it is.
//!
//! Refusing here is cheap and names the import; the compiler validates everything once more. Nothing here may trust the
//! bytes: every read can fail, and nesting is counted.

use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds, TypeRef};

use super::load::LoadLimits;
use super::load_error::LoadError;
use super::stubs::WASI;

/// Prefix of the custom sections in which toolchains describe a core module's world.
const COMPONENT_TYPE: &str = "component-type";

/// What a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A core module in the world's canonical ABI.
    Core,
    /// A component.
    Component,
}

/// What the bytes say.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) form: Form,
    /// Names of all imports, as the module gives them (`interface` or `module#function`).
    pub(super) imports: Vec<String>,
    /// A core module that already carries a description of its world.
    pub(super) described: bool,
}

/// What the header says, if it is WebAssembly at all.
pub(super) fn form(bytes: &[u8]) -> Option<Form> {
    match bytes.get(..8)? {
        [0, b'a', b's', b'm', 1, 0, 0, 0] => Some(Form::Core),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => Some(Form::Component),
        _ => None,
    }
}

#[derive(Default)]
struct Scan {
    depth: usize,
    functions: u64,
    largest: usize,
    imports: Vec<String>,
    foreign: Option<String>,
    exports: Vec<String>,
    described: bool,
}

/// Reads the sections. Refuses a foreign import by its name, a missing export by its, and too many functions.
pub(super) fn scan(bytes: &[u8], form: Form, limits: &LoadLimits) -> Result<Facts, LoadError> {
    let mut scan = Scan::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        scan.payload(payload).map_err(malformed)?;
        if scan.functions > limits.functions {
            return Err(LoadError::TooManyFunctions { max: limits.functions });
        }
        if scan.largest > limits.function_bytes {
            let (bytes, max) = (scan.largest, limits.function_bytes);
            return Err(LoadError::FunctionTooLarge { bytes, max });
        }
    }
    if let Some(import) = scan.foreign {
        return Err(LoadError::foreign(&import));
    }
    let needed: &[&str] = match form {
        Form::Core => &[loket_abi::HANDLE, "memory", "cabi_realloc"],
        Form::Component => &[loket_abi::HANDLE],
    };
    // What toolchains generate names its allocator as it likes; the wrapper finds it.
    let optional = |name: &str| scan.described && name == "cabi_realloc";
    let missing = needed.iter().find(|n| !optional(n) && !scan.exports.iter().any(|e| e == *n));
    if let Some(export) = missing {
        return Err(LoadError::MissingExport { export: (*export).to_owned() });
    }
    Ok(Facts { form, imports: scan.imports, described: scan.described })
}

#[allow(clippy::needless_pass_by_value)]
fn malformed(e: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::invalid(e)
}

impl Scan {
    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                debug_assert!(matches!(encoding, Encoding::Module | Encoding::Component));
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => self.functions += u64::from(count),
            Payload::CodeSectionEntry(body) => {
                self.largest = self.largest.max(body.range().len());
            }
            _ if self.depth != 1 => {}
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ours = import.module == loket_abi::COUNTER
                        && import.name == loket_abi::CALL
                        && matches!(import.ty, TypeRef::Func(_));
                    self.import(format!("{}#{}", import.module, import.name), ours);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let name = import.name.name;
                    match import.ty {
                        // A name for a type of an interface that is itself imported: nothing to call.
                        ComponentTypeRef::Type(TypeBounds::Eq(_)) => {}
                        ComponentTypeRef::Instance(_) => {
                            self.import(name.to_owned(), instance(name))
                        }
                        _ => self.import(name.to_owned(), false),
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name().starts_with(COMPONENT_TYPE) => {
                self.described = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, name: String, allowed: bool) {
        if !allowed && self.foreign.is_none() {
            self.foreign = Some(name.clone());
        }
        self.imports.push(name);
    }
}

/// Whether a component may import this instance.
fn instance(name: &str) -> bool {
    name == loket_abi::COUNTER || name == loket_abi::MAIL || name.starts_with(WASI)
}
