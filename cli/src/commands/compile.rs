//! `compile-module`: the process apart in which a fleet has its modules compiled. Reads one from standard input, writes the
//! answer to standard output.

use crate::args::CompileArgs;
use crate::exit::{self, CliError, Code};
use loket_host::engine::{LoadLimits, Order, carry_out, confine};

/// Confines itself and compiles.
pub(super) fn compile(args: &CompileArgs) -> Result<Code, CliError> {
    let failed = |why: String| CliError::new("internal", exit::BUG, why);
    confine().map_err(|error| failed(format!("the process cannot be confined: {error}")))?;
    let CompileArgs { memory_bytes, module_bytes, functions, function_bytes } = *args;
    let limits = LoadLimits { module_bytes, functions, function_bytes };
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    carry_out(&Order { memory_bytes, limits }, input, output)
        .map_err(|error| failed(error.to_string()))?;
    Ok(exit::OK)
}
