//! Whether a node could keep its state on this machine.

use std::path::Path;

use super::finding::{Finding, Report};
use crate::config::kind::size_text;

/// With less than this a rebuild may not end.
const FREE_BYTES_MIN: u64 = 1 << 30;

pub(super) fn check(directory: &Path, report: &mut Report) {
    let shown = directory.display();
    // A directory that is not there yet is made by the node; where it would be must be writable.
    let exists = directory.is_dir();
    let place = if exists {
        Some(directory)
    } else {
        directory.ancestors().skip(1).find(|above| above.is_dir() || above.as_os_str().is_empty())
    };
    let place = match place {
        Some(place) if place.as_os_str().is_empty() => Path::new("."),
        Some(place) => place,
        None => Path::new("."),
    };
    if let Err(error) = tempfile::tempfile_in(place) {
        report.add(
            Finding::error("TW0817", format!("the state directory {shown} cannot be written: {error}"))
                .why("a node that is run here by this user does not start")
                .fix(format!(
                    "give this user the right to write to {}, or choose another directory with --state-dir",
                    place.display()
                )),
        );
        return;
    }
    match rustix::fs::statvfs(place) {
        Ok(space) if space.f_bavail.saturating_mul(space.f_frsize) < FREE_BYTES_MIN => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            report.add(
                Finding::warning("TW0817", format!("the state directory {shown} has {free} bytes left"))
                    .why("a partition whose state does not fit stops")
                    .fix(format!(
                        "make room for {}, or choose another directory with --state-dir",
                        size_text(FREE_BYTES_MIN)
                    )),
            );
        }
        Ok(_) if exists => report.add(Finding::ok(format!("the state directory {shown} can be written and has room"))),
        Ok(_) => report.add(Finding::ok(format!("the state directory {shown} does not exist yet; a node can make it"))),
        Err(error) => {
            report.add(Finding::warning("TW0817", format!("the space below {shown} cannot be told: {error}")))
        }
    }
}
