//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::config::{ConfigCommand, ConfigOption};
use crate::error::ErrorStyle;
use crate::logging::{LogOptions, Verbosity};
use crate::{
    broker, completions, dead_letters, demo, dev, doctor, explain, health, man, partition, serve, topics, worker,
    workflow,
};

/// Durable execution on Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "tidewright", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) config: ConfigOption,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything for development in one process: a Kafka broker, the engine, the HTTP API
    ///
    /// It listens on 127.0.0.1 only. When it is ready, one line of JSON on stdout says so and where it listens;
    /// everything else goes to stderr. Ctrl-C or SIGTERM stops it in good order, a second one at once.
    Dev(dev::DevOptions),
    /// Run a node of the engine on a Kafka that is there
    ///
    /// Several nodes with the same brokers, namespace and secret share the work. What a node keeps on disk is rebuilt
    /// from Kafka when it is lost. When the node is ready, one line of JSON on stdout says so; everything else goes to
    /// stderr. Ctrl-C or SIGTERM stops it in good order, a second one at once.
    Serve(serve::ServeOptions),
    /// Run the embedded Kafka broker alone
    ///
    /// It is one node, for development, tests and one-node use: it has no replication, no transactions and no
    /// authentication. When it is ready, one line of JSON on stdout says so and where it listens; everything else goes to
    /// stderr.
    Broker(broker::BrokerOptions),
    /// Show a handful of orders being fulfilled, from plain Kafka records to their results
    ///
    /// Broker, engine and worker run in this process, on free ports and in memory. The exit code is 0 only if every order
    /// ended as it should.
    Demo(demo::DemoOptions),
    /// Start workflows and look at them
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
    /// Look at workers
    #[command(subcommand, after_help = worker::EXAMPLES)]
    Worker(worker::WorkerCommand),
    /// Find out whether Kafka and this machine are as a node or a worker needs them
    ///
    /// It looks at brokers, rights, topics, groups and the state directory, and changes nothing. Each finding says what is
    /// so, what follows, and how to put it right. It works before anything of Tidewright exists, and says what would be
    /// made.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<doctor::DoctorOptions>),
    /// Look at partitions, and try those again that stopped
    #[command(subcommand, after_help = partition::EXAMPLES)]
    Partition(partition::PartitionCommand),
    /// Look at what could not be understood, and send it again
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Show the namespace's topics: how many partitions, what for, how full, and what differs from what should be
    #[command(after_help = topics::EXAMPLES)]
    Topics(topics::TopicsOptions),
    /// Show and check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a node whether it is well
    ///
    /// The exit code is 0 if it is, and 1 if it is not or does not answer within 5 seconds: made for health checks.
    Health(health::HealthOptions),
    /// Explain an error code
    Explain(explain::ExplainOptions),
    /// Print the completions for a shell
    ///
    /// For instance `tidewright completions bash > ~/.local/share/bash-completion/completions/tidewright`. `make install`
    /// puts them where shells look.
    Completions(completions::CompletionsOptions),
    /// Write the manual pages into a directory
    Man(man::ManOptions),
}

impl Command {
    /// How much is logged when nothing else is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match self {
            Self::Dev(_) | Self::Serve(_) | Self::Broker(_) => Verbosity::Progress,
            Self::Demo(_) => Verbosity::Errors,
            Self::Workflow(_)
            | Self::Worker(_)
            | Self::Doctor(_)
            | Self::Partition(_)
            | Self::DeadLetters(_)
            | Self::Topics(_)
            | Self::Config(_)
            | Self::Health(_)
            | Self::Explain(_)
            | Self::Completions(_)
            | Self::Man(_) => Verbosity::Warnings,
        }
    }

    /// For whom errors are written.
    pub(crate) fn errors(&self) -> ErrorStyle {
        match self {
            Self::Workflow(command) if command.output().is_json() => ErrorStyle::Json,
            Self::Worker(command) if command.output().is_json() => ErrorStyle::Json,
            Self::Doctor(options) if options.output.is_json() => ErrorStyle::Json,
            Self::Partition(command) if command.output().is_json() => ErrorStyle::Json,
            Self::DeadLetters(command) if command.output().is_json() => ErrorStyle::Json,
            Self::Topics(options) if options.namespace.output.is_json() => ErrorStyle::Json,
            Self::Config(command) if command.output().is_json() => ErrorStyle::Json,
            _ => ErrorStyle::Text,
        }
    }

    /// Whether the configuration file counts for it.
    pub(crate) fn is_configured(&self) -> bool {
        match self {
            Self::Dev(_)
            | Self::Serve(_)
            | Self::Workflow(_)
            | Self::Worker(_)
            | Self::Doctor(_)
            | Self::Partition(_)
            | Self::DeadLetters(_)
            | Self::Topics(_)
            | Self::Health(_)
            | Self::Config(ConfigCommand::Show(_)) => true,
            Self::Broker(_)
            | Self::Demo(_)
            | Self::Config(_)
            | Self::Explain(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::command::command;

    #[test]
    fn the_command_line_holds_together() {
        command(None).debug_assert();
    }

    fn help(path: &[&str]) -> String {
        let arguments = ["tidewright"].iter().chain(path).copied().chain(["--help"]);
        command(None).try_get_matches_from(arguments).unwrap_err().to_string()
    }

    #[test]
    fn help_reads_well() {
        // The values of the environment would be part of it otherwise.
        let commands: [&[&str]; 15] = [
            &[],
            &["dev"],
            &["serve"],
            &["broker"],
            &["workflow"],
            &["workflow", "start"],
            &["workflow", "result"],
            &["workflow", "list"],
            &["workflow", "query"],
            &["config", "show"],
            &["doctor"],
            &["partition"],
            &["dead-letters"],
            &["dead-letters", "redrive"],
            &["topics"],
        ];
        for path in commands {
            insta::assert_snapshot!(format!("help {}", path.join(" ")).trim().replace(' ', "-"), help(path));
        }
    }

    #[test]
    fn the_spellings_of_temporals_command_line_are_understood() {
        for arguments in [
            "workflow start --type T -t q -w w -i 1",
            "workflow start --type T --task-queue q --workflow-id w --input 1 --namespace default -o json",
            "workflow start --type T -t q --id-reuse-policy AllowDuplicateFailedOnly",
            "workflow result -w w -r r",
            "workflow describe --workflow-id w --run-id r --output json",
            "workflow show -w w --address http://127.0.0.1:1",
            "workflow list --limit 5 -o json",
            "workflow query -w w --type status -i 1 --reject-condition not_open",
            "workflow stack -w w -r r",
        ] {
            let parsed = command(None).try_get_matches_from(["tidewright"].into_iter().chain(arguments.split(' ')));
            assert!(parsed.is_ok(), "{arguments}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn what_contradicts_itself_is_a_usage_error() {
        for arguments in [
            "dev --data-dir d --ephemeral",
            "broker",
            "workflow start --type T -t q -w w -i 1 --input-file f",
            "workflow start --type T -t q -i {oops",
            "workflow start --type T",
            "workflow result",
        ] {
            let parsed = command(None).try_get_matches_from(["tidewright"].into_iter().chain(arguments.split(' ')));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{arguments}");
        }
    }

    #[test]
    fn a_broker_that_is_not_told_where_to_keep_things_names_both_choices() {
        for arguments in ["broker", "broker --port 0", "broker --fsync os", "broker --data-dir d --ephemeral"] {
            let parsed = command(None).try_get_matches_from(["tidewright"].into_iter().chain(arguments.split(' ')));
            let error = parsed.unwrap_err().to_string();
            assert!(error.contains("--data-dir <DIR>") && error.contains("--ephemeral"), "{arguments}: {error}");
        }
    }
}
