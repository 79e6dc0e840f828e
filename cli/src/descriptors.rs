//! `remora descriptors`: what a server of gRPC says of its services, as a descriptor set.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context;
use remora_mcp::reflection::{BadServer, Server, reflect};

use crate::arguments::Descriptors;
use crate::runtime::{self, UsageError};

pub(crate) fn run(options: &Descriptors) -> anyhow::Result<ExitCode> {
    let server = options.server.parse::<Server>();
    let server = server.map_err(|error: BadServer| UsageError::all(&[error.to_string()]))?;
    if std::io::stdout().is_terminal() {
        let problem = "a descriptor set is no text: send it to a file, such as `> shop.binpb`";
        return Err(UsageError::all(&[problem.to_owned()]).into());
    }
    let reflected = runtime::single_threaded()?.block_on(reflect(&server))?;
    std::io::stdout()
        .write_all(&reflected.set)
        .context("write to standard output")?;
    eprintln!("{}", reflected.services.join("\n"));
    for (service, why) in &reflected.undescribed {
        eprintln!("warning: {service} is not described: {why}");
    }
    Ok(ExitCode::SUCCESS)
}
