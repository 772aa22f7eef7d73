//! The `tidewright` command.
//!
//! `dev`, `serve`, `broker` and `demo` run something until they are told to stop; `workflow …` and `worker …`
//! ask a node over HTTP;
//! `doctor` looks at Kafka, `config` shows the configuration, `health` asks a node, `explain` prints the page of an error
//! code; `completions` and `man` write what comes with a package. What a program may want to read goes to stdout,
//! everything else to stderr.
//! Exit codes: 0 all is well, 1 something failed, 2 the command line is wrong, 130 stopped at once by a second Ctrl-C.

mod broker;
mod cli;
mod completions;
mod config;
mod dead_letters;
mod demo;
mod dev;
mod doctor;
mod error;
mod explain;
mod health;
mod logging;
mod man;
mod namespace_options;
mod node;
mod node_options;
mod output;
mod partition;
mod secret;
mod serve;
mod shutdown;
mod state_directory;
mod topics;
mod worker;
mod workflow;

use std::process::ExitCode;

use cli::{Cli, Command};
use config::Configuration;
use error::{CliError, ErrorStyle};

fn main() -> ExitCode {
    let (Cli { command, log, .. }, configuration) = match config::invocation(std::env::args_os().collect()) {
        Ok(invocation) => invocation,
        Err(error) => {
            error.report(ErrorStyle::Text);
            return error.exit_code();
        }
    };
    let (verbosity, errors) = (command.verbosity(), command.errors());
    let outcome = log.install(verbosity).and_then(|()| run(command, &configuration));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            error.report(errors);
            error.exit_code()
        }
    }
}

fn run(command: Command, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::system)?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Dev(options) => Box::pin(dev::run(options)).await,
            Command::Serve(options) => Box::pin(serve::run(options, configuration)).await,
            Command::Broker(options) => broker::run(options).await,
            Command::Demo(options) => Box::pin(demo::run(options)).await,
            Command::Workflow(command) => workflow::run(command).await,
            Command::Worker(command) => worker::run(command).await,
            Command::Doctor(options) => Box::pin(doctor::run(*options, configuration)).await,
            Command::Partition(command) => partition::run(command).await,
            Command::DeadLetters(command) => Box::pin(dead_letters::run(command, configuration)).await,
            Command::Topics(options) => Box::pin(topics::run(options, configuration)).await,
            Command::Config(command) => config::run(command, configuration),
            Command::Health(options) => health::run(options).await,
            Command::Explain(options) => explain::run(&options),
            Command::Completions(options) => completions::run(&options),
            Command::Man(options) => man::run(&options),
        }
    });
    // What was to be finished is; a blocking call that hangs must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
