//! `remora`: the one program that serves every role.

mod arguments;
mod check_webhook;
mod demo;
mod descriptors;
mod http;
mod hub;
mod hub_api;
mod init;
mod inject;
mod injector;
mod mcp;
mod proxy;
mod run;
mod runtime;
mod snapshot;
mod verify;

use std::process::ExitCode;

use arguments::{Command, Remora};
use clap::{CommandFactory, Parser};

fn main() -> ExitCode {
    let arguments = match Remora::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    runtime::init_logs(arguments.log_filter());
    let done = match arguments.command {
        Command::Demo(options) => demo::run(&options),
        Command::Hub(options) => hub::run(options),
        Command::Proxy(options) => proxy::run(*options),
        Command::Run(options) => run::run(&options),
        Command::Init(options) => init::run(options),
        Command::Inject(options) => inject::run(options),
        Command::Injector(options) => injector::run(*options),
        Command::CheckWebhook(options) => check_webhook::run(&options),
        Command::Mcp(options) => mcp::run(options),
        Command::Snapshot(command) => snapshot::run(command),
        Command::Verify(options) => verify::run(options),
        Command::Descriptors(options) => descriptors::run(&options),
    };
    runtime::exit_code(done)
}

/// Says what is wrong with the arguments, or shows the help that was asked for. Scripts that ask a hub or
/// a cluster tell by the exit code that nothing was asked, those that run a program that it was not run.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody may read it.
    let _ = error.print();
    // What is wrong may stand behind the command, and flags of all commands before it.
    let lenient = Remora::command().ignore_errors(true).try_get_matches();
    let command = lenient
        .ok()
        .and_then(|it| it.subcommand_name().map(str::to_owned));
    let is = |name: &str| command.as_deref() == Some(name);
    let asks = is("snapshot") || is("verify") || is("check-webhook");
    match u8::try_from(error.exit_code()).unwrap_or(2) {
        0 => ExitCode::SUCCESS,
        _ if asks => ExitCode::from(runtime::NOT_ASKED),
        _ if is("run") => ExitCode::from(run::FAILED),
        code => ExitCode::from(code),
    }
}
