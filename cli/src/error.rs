//! Errors as the command line shows them: a code, what happened, and what to do.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tidewright_api::ApiError;
use tidewright_log::LogError;
use tidewright_runtime::EngineError;
use tidewright_schemas::api::Problem;

use crate::output::clean;

/// For whom errors are written to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorStyle {
    Text,
    Json,
}

/// Why the command failed. Boxed, since it travels through every result.
#[derive(Debug)]
pub(crate) struct CliError(Box<Details>);

#[derive(Debug)]
struct Details {
    code: Option<String>,
    message: String,
    hint: Option<String>,
    exit: u8,
}

impl CliError {
    fn new(code: Option<&str>, message: impl Into<String>) -> Self {
        let (code, message) = (code.map(str::to_owned), message.into());
        Self(Box::new(Details { code, message, hint: None, exit: 1 }))
    }

    /// An error with a page of its own.
    pub(crate) fn coded(code: &str, message: impl Into<String>) -> Self {
        Self::new(Some(code), message)
    }

    /// An error whose message says it all.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self::new(None, message)
    }

    /// The operating system refuses something that always works.
    pub(crate) fn system(error: std::io::Error) -> Self {
        Self::plain(error.to_string())
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The command line is what is wrong.
    pub(crate) fn usage(mut self) -> Self {
        self.0.exit = 2;
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.0.exit)
    }

    /// TW0701 `ServerUnreachable`.
    pub(crate) fn server_unreachable(address: &str, problem: impl std::fmt::Display) -> Self {
        Self::coded("TW0701", format!("no Tidewright node answers at {address}: {problem}"))
            .hint("start one with `tidewright dev`, or say where it is with --address or TIDEWRIGHT_HTTP_URL")
    }

    /// TW0702 `AddressNotAvailable`.
    pub(crate) fn address(address: SocketAddr, flag: &str, problem: &std::io::Error) -> Self {
        let hint = match problem.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "something else listens on port {} (another `tidewright dev`?): stop it, or choose a port with {flag}; 0 \
                 takes any that is free",
                address.port()
            ),
            _ => format!("choose another address with {flag}"),
        };
        Self::coded("TW0702", format!("cannot listen on {address}: {problem}")).hint(hint)
    }

    /// TW0703 `SecretUnusable`.
    pub(crate) fn secret(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::coded("TW0703", format!("the secret file {} cannot be used: {problem}", path.display()))
    }

    /// TW0502 `KafkaUnusable`.
    pub(crate) fn kafka(error: LogError) -> Self {
        Self::coded("TW0502", error.to_string()).hint("`tidewright doctor` finds out what is wrong")
    }

    /// TW0725 `SecretMissing`.
    pub(crate) fn secret_missing() -> Self {
        Self::coded("TW0725", "a node needs the cluster's secret, and none is configured")
            .hint("name its file with --secret-file FILE, TIDEWRIGHT_SECRET_FILE, or secret_file in the configuration file")
            .usage()
    }

    /// TW0704 `DirectoryUnusable`.
    pub(crate) fn directory(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::coded("TW0704", format!("the directory {} cannot be used: {problem}", path.display()))
            .hint("choose another one, or give this user the right to write there")
    }

    /// An answer of a node.
    pub(crate) fn problem(problem: &Problem) -> Self {
        let error = Self::coded(&problem.code, problem.detail.clone());
        match problem.code.as_str() {
            "TW0203" => error.hint("`--id-reuse-policy AllowDuplicate` runs it once more"),
            "TW0601" => error.hint("`tidewright workflow list` shows what there is"),
            "TW0602" => error.hint("name the namespace with -n, or another node with --address"),
            _ => error,
        }
    }

    /// Writes it to stderr.
    pub(crate) fn report(&self, style: ErrorStyle) {
        let text = match style {
            ErrorStyle::Text => self.text(),
            ErrorStyle::Json => self.json(),
        };
        // Nobody can be told that stderr is closed.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    pub(crate) fn text(&self) -> String {
        let Details { code, message, hint, .. } = &*self.0;
        let mut text = match code {
            Some(code) => format!("error[{code}]: {}\n", clean(message)),
            None => format!("error: {}\n", clean(message)),
        };
        if let Some(hint) = hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        if let Some(code) = code.as_deref().filter(|code| tidewright_api::error_page(code).is_some()) {
            text.push_str(&format!("  more: tidewright explain {code}\n"));
        }
        text
    }

    fn json(&self) -> String {
        let Details { code, message, hint, .. } = &*self.0;
        let object = serde_json::json!({ "error": { "code": code, "message": message, "hint": hint } });
        format!("{object}\n")
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        Self::coded(error.code(), error.to_string())
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Listen { address, source } => Self::address(address, "--http-port", &source),
            other => Self::plain(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let in_use = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let error = CliError::address("127.0.0.1:9092".parse().unwrap(), "--kafka-port", &in_use);
        let text = error.text();
        assert!(text.starts_with("error[TW0702]: cannot listen on 127.0.0.1:9092"), "{text}");
        assert!(text.contains("--kafka-port"), "{text}");
        assert!(text.ends_with("more: tidewright explain TW0702\n"), "{text}");
    }

    #[test]
    fn every_code_of_the_command_line_has_a_page() {
        for number in (701..=712).chain(720..=725).chain(801..=819) {
            let code = format!("TW0{number}");
            assert!(tidewright_api::error_title(&code).is_some(), "docs/errors/{code}.md is missing");
        }
    }
}
