/// Seconds between two looks of the guard at its job.
const STEP: u64 = 2;

/// Returns the lines that end a job which outlives its run limit.
///
/// At the run limit LSF sends `USR2`. A job that takes the signal and goes on was still running a minute
/// later under openlava 2.2, which has no further step; IBM's LSF kills it after ten minutes. The guard waits
/// `seconds`, then kills the job's process group where its leader is the script or LSF's shell around it, and
/// the script, whose place the command has taken, in any case.
///
/// It is no child of the command, holds none of its files, and is gone two seconds after it. It counts the
/// seconds that it lives through itself, so that a suspended job loses nothing.
pub(crate) fn lines(seconds: u64) -> String {
    let steps = seconds.div_ceil(STEP);
    format!(
        "( (
trap '' USR2
exec </dev/null >/dev/null 2>&1 {{reflow_clock}}<> <(:)
for ((reflow_step = 0; reflow_step < {steps}; reflow_step++)); do
kill -0 $$ || exit
read -r -t {STEP} -u \"$reflow_clock\"
done
reflow_stat=$(</proc/$$/stat) || exit
read -r _ reflow_parent reflow_group _ <<<\"${{reflow_stat##*) }}\"
case $reflow_group in $$ | \"$reflow_parent\") kill -KILL -- -\"$reflow_group\" ;; esac
kill -KILL $$
) & )"
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use reflow_core::command::{Call, Exit, Output, Runner, RunnerOptions};

    use super::*;

    async fn run(body: &str) -> Output {
        bash(&format!("{}\n{body}\n", lines(3))).await
    }

    async fn bash(script: &str) -> Output {
        let runner = Runner::new(RunnerOptions {
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            ..RunnerOptions::default()
        });
        let mut call = Call::new(["bash", "-s"]);
        call.stdin = script.as_bytes().to_vec();
        runner.run(&call).await.expect("bash runs")
    }

    #[tokio::test]
    async fn a_job_that_takes_the_signal_is_killed_with_its_children() {
        let started = Instant::now();
        let output = run(
            "exec bash -c 'trap \"echo warned\" USR2; kill -USR2 0; sleep 60 & while :; do wait; done'",
        )
        .await;
        assert_eq!(output.exit, Exit::Signal(9));
        assert_eq!(output.stdout_text(), "warned\n");
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_job_that_ends_by_itself_is_not_held_up() {
        let started = Instant::now();
        let output = run("exec bash -c 'echo done; exit 7'").await;
        assert_eq!(output.exit, Exit::Code(7));
        assert_eq!(output.stdout_text(), "done\n");
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn the_command_has_no_child_that_it_did_not_start_and_no_file_that_it_did_not_open() {
        let look = "exec bash -c 'sleep 0.3; ps -o comm= --ppid $$; exec ls /proc/self/fd'\n";
        let guarded = run(look).await;
        assert!(guarded.stdout_text().starts_with("ps\n0\n1\n"));
        assert_eq!(guarded.stdout_text(), bash(look).await.stdout_text());
    }
}
