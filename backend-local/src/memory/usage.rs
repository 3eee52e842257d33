//! What is counted is what cannot be given back: pages of files that are mapped are left out, where the
//! kernel tells them apart.

use std::io::ErrorKind;

/// Returns the bytes of memory that processes hold, those that they share counted in each.
pub(crate) fn resident(processes: &[u32]) -> u64 {
    processes
        .iter()
        .filter_map(|&process| resident_of(process))
        .sum()
}

fn resident_of(process: u32) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    // Told apart since 4.5.
    match kibibytes(&status, "RssAnon:") {
        Some(own) => Some(own + kibibytes(&status, "RssShmem:").unwrap_or(0)),
        None => kibibytes(&status, "VmRSS:"),
    }
}

/// Returns the same with what they share counted once, where the kernel tells (since 4.14): it is slow to
/// find out.
pub(crate) fn proportional(processes: &[u32]) -> Option<u64> {
    let mut sum = 0;
    for process in processes {
        match fs_err::read_to_string(format!("/proc/{process}/smaps_rollup")) {
            Ok(text) => {
                let files = kibibytes(&text, "Pss_File:").unwrap_or(0);
                let all = kibibytes(&text, "Pss:").unwrap_or(0);
                sum += all.saturating_sub(files);
            }
            // It has just ended; without processes that are there, nothing is known.
            Err(error) if error.raw_os_error() == Some(3) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs_err::metadata(format!("/proc/{process}")).is_ok() {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
    Some(sum)
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let count: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(count << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_found() {
        let own = std::process::id();
        let before = resident(&[own]);
        assert!(before > 0);
        let block = vec![1u8; 64 << 20];
        let after = resident(&[own]);
        assert!(after >= before + (60 << 20), "{before} {after}");
        if let Some(proportional) = proportional(&[own]) {
            assert!(proportional >= 60 << 20, "{proportional}");
        }
        drop(block);
    }
}
