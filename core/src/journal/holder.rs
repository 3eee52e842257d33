use std::fmt;

use fs_err as fs;
use serde::{Deserialize, Serialize};

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Id of the boot of that host.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// Start time of the process, in clock ticks since the boot: with the rest, names one process.
    pub started: u64,
}

/// Tells whether a holder is still there.
pub trait Liveness: fmt::Debug + Send + Sync {
    /// Returns ourselves as a holder.
    fn own(&self) -> Holder;

    /// Returns whether the holder is gone for certain. False where that cannot be known from here.
    fn is_gone(&self, holder: &Holder) -> bool;
}

/// [`Liveness`] by the process table of this host.
#[derive(Debug, Clone, Default)]
pub struct SystemLiveness;

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields are counted from behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

impl Liveness for SystemLiveness {
    fn own(&self) -> Holder {
        let pid = std::process::id();
        Holder {
            host: host(),
            boot: boot(),
            pid,
            started: start_time(pid).unwrap_or(0),
        }
    }

    fn is_gone(&self, holder: &Holder) -> bool {
        if holder.host != host() {
            return false;
        }
        holder.boot != boot() || start_time(holder.pid) != Some(holder.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_of_the_same_pid() {
        let own = SystemLiveness.own();
        assert!(!SystemLiveness.is_gone(&own));
        assert!(SystemLiveness.is_gone(&Holder {
            started: own.started + 1,
            ..own.clone()
        }));
        assert!(SystemLiveness.is_gone(&Holder {
            boot: "another".to_owned(),
            ..own.clone()
        }));
        assert!(!SystemLiveness.is_gone(&Holder {
            host: "elsewhere".to_owned(),
            pid: 1,
            ..own
        }));
    }
}
