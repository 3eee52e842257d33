//! What keeps a run from outliving the terminal.

use reflow_core::scheduler::ConnectOptions;

/// Where systemd reads whether it kills what a user leaves behind; later ones win.
const LOGIND: [&str; 4] = [
    "/usr/lib/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf.d",
    "/etc/systemd/logind.conf",
    "/etc/systemd/logind.conf.d",
];

/// Returns what the user should know before logging out while runs go on, in whole sentences; nothing
/// where runs outlive the terminal.
pub fn warnings(options: &ConnectOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(job) = crate::location::enclosing(&options.environment) {
        warnings.push(format!(
            "The local backend runs inside the batch job {job}: what it runs ends with that job."
        ));
    }
    if kills_user_processes(&logind_files()) && is_in_session() {
        warnings.push(
            "This system ends a user's processes at logout (KillUserProcesses=yes in logind.conf): \
             runs of the local backend end with your last session. Start reflow under \
             `systemd-run --user --scope` with lingering enabled, or stay logged in."
                .to_owned(),
        );
    }
    warnings
}

fn logind_files() -> Vec<String> {
    let mut texts = Vec::new();
    for path in LOGIND {
        if let Ok(entries) = fs_err::read_dir(path) {
            let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            files.sort();
            texts.extend(
                files
                    .into_iter()
                    .filter_map(|file| fs_err::read_to_string(file).ok()),
            );
        } else if let Ok(text) = fs_err::read_to_string(path) {
            texts.push(text);
        }
    }
    texts
}

fn kills_user_processes(files: &[String]) -> bool {
    let lines = files.iter().flat_map(|text| text.lines());
    let last = lines
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "KillUserProcesses").then(|| value.trim().to_ascii_lowercase())
        })
        .next_back();
    last.is_some_and(|value| matches!(value.as_str(), "yes" | "true" | "1" | "on"))
}

/// Returns whether this process belongs to a login session, which is what is ended at logout.
fn is_in_session() -> bool {
    fs_err::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains("/session-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_wins_and_comments_do_not_count() {
        let files = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(!kills_user_processes(&files(&[
            "[Login]\n#KillUserProcesses=yes\n"
        ])));
        assert!(kills_user_processes(&files(&[
            "[Login]\nKillUserProcesses=yes\n"
        ])));
        assert!(!kills_user_processes(&files(&[
            "KillUserProcesses=yes\n",
            "KillUserProcesses = no\n"
        ])));
    }

    #[test]
    fn an_enclosing_batch_job_is_told() {
        let options = ConnectOptions {
            environment: [("PBS_JOBID".to_owned(), "7.server".to_owned())].into(),
            ..ConnectOptions::default()
        };
        assert!(warnings(&options)[0].contains("PBS_JOBID=7.server"));
    }
}
