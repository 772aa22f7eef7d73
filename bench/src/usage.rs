//! What processes use, as Linux tells in `/proc`. Elsewhere nothing is known.

use std::time::Duration;

/// Linux tells times in hundredths of a second to every program (`USER_HZ`), whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

/// What one process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time of all its threads, user and system.
    pub(crate) cpu: Option<Duration>,
    /// Memory that it holds now, in bytes.
    pub(crate) rss_bytes: Option<u64>,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(pid: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        Self {
            cpu: read("stat").as_deref().and_then(cpu_time),
            rss_bytes: read("status").as_deref().and_then(resident_bytes),
        }
    }

    /// What was used since an earlier look; memory as it is now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let cpu = self.cpu.zip(before.cpu).map(|(now, before)| now.saturating_sub(before));
        Self { cpu, rss_bytes: self.rss_bytes }
    }
}

/// `utime` and `stime`, the 14th and 15th field. The second one, the program's name, may hold spaces.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(TICK * ticks)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("4711 (a) S 1"), None);
        assert_eq!(resident_bytes("Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t9"), Some(2 << 20));
    }
}
