//! clap's view of the settings: an argument whose id is a setting's key gets its help, variable and default from the
//! declaration, and its default from the file if that has one.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _};

use super::file::ConfigFile;
use super::settings::{SETTINGS, Setting};
use crate::cli::Cli;
use crate::error::CliError;

/// The command line with everything that is declared elsewhere.
pub(crate) fn command(file: Option<&ConfigFile>) -> Command {
    describe(Cli::command(), file)
}

fn describe(mut command: Command, file: Option<&ConfigFile>) -> Command {
    for setting in SETTINGS {
        if command.get_arguments().any(|argument| argument.get_id() == setting.key) {
            command = command.mut_arg(setting.key, |argument| dress(argument, setting, file));
        }
    }
    let below: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    below.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| describe(sub, file)))
}

fn dress(argument: Arg, setting: &Setting, file: Option<&ConfigFile>) -> Arg {
    let argument = argument
        .help(setting.doc)
        .value_name(setting.value_name)
        .env(setting.variable())
        .hide_env_values(true)
        .required(false);
    let in_file = file.and_then(|file| file.values.get(setting.key)).map(|value| value.text.clone());
    match in_file.or_else(|| setting.default.map(str::to_owned)) {
        Some(default) => argument.default_value(default),
        None => argument,
    }
}

/// The matches of the command that is run.
pub(super) fn innermost(matches: ArgMatches) -> ArgMatches {
    let mut innermost = matches;
    while let Some((_, below)) = innermost.remove_subcommand() {
        innermost = below;
    }
    innermost
}

/// Says which variable is wrong.
pub(super) fn check_variables() -> Result<(), CliError> {
    for setting in SETTINGS {
        let variable = setting.variable();
        if let Some(value) = std::env::var_os(&variable) {
            check(setting, &format!("the variable {variable}"), &value.to_string_lossy())?;
        }
    }
    Ok(())
}

/// Holds every value to its kind: clap knows types, but not every bound.
pub(super) fn check_values(matches: &ArgMatches) -> Result<(), CliError> {
    for setting in SETTINGS {
        let Some((place, value)) = given(matches, setting) else { continue };
        check(setting, &place, &value)?;
    }
    Ok(())
}

fn check(setting: &Setting, place: &str, value: &str) -> Result<(), CliError> {
    setting.kind.check(value).map_err(|problem| {
        CliError::coded("TW0722", format!("{place} is `{value}`, which cannot be used: {problem}"))
            .hint(format!("expected: {}", setting.kind.name()))
            .usage()
    })
}

/// A value that is not a default, and what gave it.
fn given(matches: &ArgMatches, setting: &Setting) -> Option<(String, String)> {
    let place = match source_of(matches, setting)? {
        ValueSource::CommandLine => format!("--{}", setting.flag),
        ValueSource::EnvVariable => format!("the variable {}", setting.variable()),
        _ => return None,
    };
    Some((place, value_of(matches, setting)?))
}

/// What gave a value; none if the command has no such argument, or it has no value.
pub(super) fn source_of(matches: &ArgMatches, setting: &Setting) -> Option<ValueSource> {
    matches.try_contains_id(setting.key).ok()?;
    matches.value_source(setting.key)
}

pub(super) fn value_of(matches: &ArgMatches, setting: &Setting) -> Option<String> {
    let mut raw = matches.try_get_raw(setting.key).ok().flatten()?;
    raw.next().map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every argument that is a setting, with the path of its command.
    fn arguments(command: &Command, path: &str, found: &mut Vec<(String, &'static Setting, Arg)>) {
        for argument in command.get_arguments() {
            if let Some(setting) = Setting::find(argument.get_id().as_str()) {
                found.push((path.to_owned(), setting, argument.clone()));
            }
        }
        for sub in command.get_subcommands() {
            arguments(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }

    #[test]
    fn every_setting_is_a_flag_of_its_declared_name() {
        let mut found = Vec::new();
        arguments(&command(None), "tidewright", &mut found);
        for (path, setting, argument) in &found {
            assert_eq!(argument.get_long(), Some(setting.flag), "{path}");
            assert_eq!(argument.get_env(), Some(setting.variable().as_ref()), "{path}");
            let default = argument.get_default_values().first().map(|default| default.to_string_lossy().into_owned());
            assert_eq!(default.as_deref(), setting.default, "{path} --{}", setting.flag);
        }
        for setting in SETTINGS {
            assert!(found.iter().any(|(_, used, _)| used.key == setting.key), "no command takes {}", setting.key);
            assert!(setting.default.is_none_or(|default| setting.kind.check(default).is_ok()), "{}", setting.key);
        }
    }

    #[test]
    fn a_flag_that_is_a_setting_is_declared() {
        let mut variables = Vec::new();
        fn walk(command: &Command, variables: &mut Vec<(String, String)>) {
            for argument in command.get_arguments() {
                let variable = argument.get_env().map(|variable| variable.to_string_lossy().into_owned());
                variables.extend(variable.map(|variable| (argument.get_id().to_string(), variable)));
            }
            command.get_subcommands().for_each(|sub| walk(sub, variables));
        }
        walk(&command(None), &mut variables);
        // These say what to do, or where the configuration is: they are of one call.
        let of_one_call = ["config", "task_queue", "traceparent"];
        for (id, variable) in variables {
            assert!(Setting::find(&id).is_some() || of_one_call.contains(&id.as_str()), "{variable} is not declared");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = ConfigFile::parse(Path::new("f.toml"), "partitions = 7\ntask_partitions = 9\n").unwrap();
        let matches = command(Some(&file)).try_get_matches_from(["tidewright", "serve", "--partitions", "5"]).unwrap();
        let matches = innermost(matches);
        let value = |key: &str| value_of(&matches, Setting::find(key).unwrap());
        assert_eq!(value("partitions").as_deref(), Some("5"));
        assert_eq!(value("task_partitions").as_deref(), Some("9"));
        assert_eq!(value("session_timeout").as_deref(), Some("6s"));
        assert_eq!(value("secret_file"), None);
    }

    #[test]
    fn a_bound_that_clap_does_not_know_is_held() {
        let matches = command(None).try_get_matches_from(["tidewright", "serve", "--session-timeout", "5ms"]).unwrap();
        let error = check_values(&innermost(matches)).unwrap_err().text();
        assert!(error.contains("TW0722") && error.contains("--session-timeout is `5ms`"), "{error}");
    }
}
