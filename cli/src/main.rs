//! `remora`: the one program that serves every role.

mod arguments;
mod demo;
mod http;
mod hub;
mod init;
mod inject;
mod mcp;
mod proxy;
mod runtime;

use std::process::ExitCode;

use arguments::{Command, Remora};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Remora::parse();
    runtime::init_logs(arguments.log_filter());
    let done = match arguments.command {
        Command::Demo(options) => demo::run(&options),
        Command::Hub(options) => hub::run(options),
        Command::Proxy(options) => proxy::run(*options),
        Command::Init(options) => init::run(options),
        Command::Inject(options) => inject::run(options),
        Command::Mcp(options) => mcp::run(options),
    };
    runtime::exit_code(done)
}
