//! What the worker logs, for tests to wait for.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::SOON;

#[derive(Clone, Default)]
pub struct Log {
    text: Arc<(Mutex<String>, Condvar)>,
}

impl Log {
    /// Everything that this process logs from now on. The first call of every test in a file that uses it: there is one
    /// subscriber for all, and the first one counts.
    pub fn capture() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Log::default();
            let filter = EnvFilter::new("warn,tidewright=info");
            tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(log.clone()).init();
            log
        });
        log.clone()
    }

    /// Waits until there is a line that has all of `parts`, and returns it.
    pub async fn line(&self, parts: &[&str]) -> String {
        let (log, parts): (_, Vec<String>) = (self.clone(), parts.iter().map(|part| (*part).to_owned()).collect());
        tokio::task::spawn_blocking(move || log.wait(&parts)).await.unwrap()
    }

    fn wait(&self, parts: &[String]) -> String {
        let (text, changed) = &*self.text;
        let find =
            |text: &str| text.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned);
        let (text, _) = changed.wait_timeout_while(text.lock().unwrap(), SOON, |text| find(text).is_none()).unwrap();
        find(&text).unwrap_or_else(|| panic!("no line with {parts:?} in:\n{text}"))
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let (text, changed) = &*self.text;
        text.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
