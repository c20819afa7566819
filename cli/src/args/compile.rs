//! How the binary calls itself to compile a module. Nobody types it: the order of `loket_host::engine::Order`, as a command line.

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct CompileArgs {
    /// Ceiling of one linear memory of the engine, bytes.
    #[arg(long)]
    pub(crate) memory_bytes: usize,
    /// Largest module, bytes.
    #[arg(long)]
    pub(crate) module_bytes: usize,
    /// Most functions of a module.
    #[arg(long)]
    pub(crate) functions: u64,
    /// Largest function, bytes.
    #[arg(long)]
    pub(crate) function_bytes: usize,
}
