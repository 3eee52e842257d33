use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{CommandError, Environment, Exit, Output};

/// The end of standard error that is kept.
const STDERR_KEPT: usize = 64 << 10;

/// How programs are run.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Where programs are; none looks in `PATH` of `environment`.
    pub bin_dir: Option<PathBuf>,
    /// The whole environment of the programs. `LC_ALL=C` is added, so that answers are not
    /// translated.
    pub environment: Environment,
    /// How long a program may take. Longer than the program's own retries, so that giving up is its
    /// decision and its words are heard.
    pub timeout: Duration,
    /// Least time between the starts of two programs.
    pub spacing: Duration,
    /// Most programs at the same time.
    pub at_most: usize,
    /// Attempts that [`Runner::query`] makes.
    pub attempts: u32,
    /// Wait before the second attempt; doubled for each further one, and changed by up to half
    /// either way at random.
    pub backoff: Duration,
    /// Most bytes of standard output.
    pub output_limit: usize,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            bin_dir: None,
            environment: Environment::new(),
            timeout: Duration::from_mins(5),
            spacing: Duration::from_millis(5),
            at_most: 4,
            attempts: 3,
            backoff: Duration::from_millis(500),
            output_limit: 512 << 20,
        }
    }
}

/// One program to run.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Standard input; empty for none.
    pub stdin: Vec<u8>,
    /// Variables set for this call, over those of the runner.
    pub environment: Environment,
}

impl Call {
    /// Returns a call without standard input.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// Runs programs of a batch system: see the [module](super).
#[derive(Debug)]
pub struct Runner {
    options: RunnerOptions,
    permits: Semaphore,
    next_start: Mutex<Instant>,
}

impl Runner {
    /// Returns a runner.
    pub fn new(options: RunnerOptions) -> Self {
        Self {
            permits: Semaphore::new(options.at_most.max(1)),
            next_start: Mutex::new(Instant::now()),
            options,
        }
    }

    /// Returns the options.
    pub fn options(&self) -> &RunnerOptions {
        &self.options
    }

    /// Returns where `program` is.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] names it and the places searched.
    pub fn find(&self, program: &str) -> Result<PathBuf, CommandError> {
        let not_found = |place: String, searched: &str| CommandError::NotFound {
            program: program.to_owned(),
            place,
            searched: searched.to_owned(),
        };
        if program.contains('/') {
            let path = PathBuf::from(program);
            return if is_program(&path) {
                Ok(path)
            } else {
                Err(not_found("a program".to_owned(), program))
            };
        }
        if let Some(directory) = &self.options.bin_dir {
            let path = directory.join(program);
            let shown = directory.display().to_string();
            return if is_program(&path) {
                Ok(path)
            } else {
                Err(not_found(format!("in {shown}"), &shown))
            };
        }
        let searched = self
            .options
            .environment
            .get("PATH")
            .map_or("", String::as_str);
        std::env::split_paths(searched)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|path| is_program(path))
            .ok_or_else(|| not_found("on the PATH".to_owned(), searched))
    }

    /// Runs `call` once, and waits for its end whatever its exit status.
    ///
    /// When the future is dropped or the time is over, the program's process group is killed.
    pub async fn run(&self, call: &Call) -> Result<Output, CommandError> {
        let program = call.argv.first().map_or("", String::as_str);
        let path = self.find(program)?;
        // The semaphore is never closed, so there is a permit or a wait for one.
        let _permit = self.permits.acquire().await;
        self.wait_for_turn().await;
        tracing::debug!(argv = ?call.argv, "runs");
        let started = Instant::now();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that runs programs of a batch system"
        )]
        let mut command = tokio::process::Command::new(&path);
        command
            .args(&call.argv[1..])
            .env_clear()
            .envs(&self.options.environment)
            .env("LC_ALL", "C")
            .envs(&call.environment)
            .stdin(if call.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = start(&mut command)
            .await
            .map_err(|source| CommandError::Start {
                program: path.display().to_string(),
                source,
            })?;
        let mut group = Group::of(&child);
        let mut stderr = Vec::new();
        let finished = timeout(
            self.options.timeout,
            converse(&mut child, call, self.options.output_limit, &mut stderr),
        )
        .await;
        match finished {
            Err(_) => Err(CommandError::TimedOut {
                program: program.to_owned(),
                argv: call.argv.clone(),
                after: self.options.timeout,
                stderr: String::from_utf8_lossy(&stderr).into_owned(),
            }),
            Ok(Err(Broken::Io(source))) => Err(CommandError::Io {
                program: program.to_owned(),
                source,
            }),
            Ok(Err(Broken::TooMuch)) => Err(CommandError::TooMuchOutput {
                program: program.to_owned(),
                limit: self.options.output_limit,
            }),
            Ok(Ok((exit, stdout))) => {
                group.ended();
                Ok(Output {
                    argv: call.argv.clone(),
                    exit,
                    stdout,
                    stderr,
                    elapsed: started.elapsed(),
                })
            }
        }
    }

    /// Runs a call that changes nothing, again when it fails to run to its end or `is_temporary`
    /// says that its answer is one that another attempt may better.
    pub async fn query(
        &self,
        call: &Call,
        is_temporary: impl Fn(&Output) -> bool,
    ) -> Result<Output, CommandError> {
        let mut wait = self.options.backoff;
        for _ in 1..self.options.attempts {
            match self.run(call).await {
                Ok(output) if !is_temporary(&output) => return Ok(output),
                Err(error) if !error.may_have_run() => return Err(error),
                Ok(output) => tracing::debug!(argv = ?call.argv, exit = %output.exit, "again"),
                Err(error) => tracing::debug!(argv = ?call.argv, %error, "again"),
            }
            sleep(jittered(wait)).await;
            wait *= 2;
        }
        self.run(call).await
    }

    async fn wait_for_turn(&self) {
        let mut next = self.next_start.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + self.options.spacing;
    }
}

/// Starts the program; waits a moment where its file is just being written.
async fn start(command: &mut tokio::process::Command) -> std::io::Result<tokio::process::Child> {
    for _ in 0..10 {
        crate::fault::reach("command/start");
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                sleep(Duration::from_millis(20)).await;
            }
            started => return started,
        }
    }
    command.spawn()
}

enum Broken {
    Io(std::io::Error),
    TooMuch,
}

/// Gives standard input and takes both outputs at once, so that no pipe fills up, then waits.
async fn converse(
    child: &mut tokio::process::Child,
    call: &Call,
    limit: usize,
    stderr: &mut Vec<u8>,
) -> Result<(Exit, Vec<u8>), Broken> {
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().expect("was piped");
    let errors = child.stderr.take().expect("was piped");
    let give = async {
        if let Some(mut stdin) = stdin {
            crate::fault::reach("command/give");
            // A program that does not read its input says why on standard error.
            let _closed = stdin.write_all(&call.stdin).await;
        }
    };
    let ((), stdout, errors) =
        tokio::join!(give, read_all(stdout, limit), read_end(errors, stderr));
    let stdout = stdout?;
    errors.map_err(Broken::Io)?;
    let status = child.wait().await.map_err(Broken::Io)?;
    crate::fault::reach("command/ended");
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(-1),
    };
    Ok((exit, stdout))
}

async fn read_all(mut from: impl AsyncRead + Unpin, limit: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    while from.read_buf(&mut bytes).await.map_err(Broken::Io)? > 0 {
        if bytes.len() > limit {
            return Err(Broken::TooMuch);
        }
    }
    Ok(bytes)
}

async fn read_end(mut from: impl AsyncRead + Unpin, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    while from.read_buf(bytes).await? > 0 {
        if bytes.len() > 2 * STDERR_KEPT {
            bytes.drain(..bytes.len() - STDERR_KEPT);
        }
    }
    bytes.drain(..bytes.len().saturating_sub(STDERR_KEPT));
    Ok(())
}

/// The process group of a child, killed when dropped before the child has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nothing is left to kill when it ended by itself in the meantime.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

fn is_program(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Returns `wait` times a random factor between a half and one and a half.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    wait.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(timeout: Duration) -> Runner {
        Runner::new(RunnerOptions {
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            timeout,
            backoff: Duration::from_millis(1),
            ..RunnerOptions::default()
        })
    }

    fn shell(script: &str) -> Call {
        Call::new(["bash", "-c", script])
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_program_gets_its_input_and_nothing_but_its_environment() {
        let mut call =
            shell("cat; printf '%s' \"$LC_ALL $EXTRA ${HOME-none}\"; echo e >&2; exit 3");
        call.stdin = b"input ".to_vec();
        call.environment.insert("EXTRA".into(), "extra".into());
        let output = runner(LONG).run(&call).await.expect("bash runs");
        assert_eq!(output.stdout_text(), "input C extra none");
        assert_eq!(output.stderr_text(), "e\n");
        assert_eq!(output.exit, Exit::Code(3));
    }

    #[tokio::test]
    async fn much_input_and_output_at_once_do_not_block() {
        let mut call = shell("cat; cat /dev/zero | head -c 1000000 >&2");
        call.stdin = vec![b'x'; 1 << 20];
        let output = runner(LONG).run(&call).await.expect("bash runs");
        assert_eq!(output.stdout.len(), 1 << 20);
        assert_eq!(output.stderr.len(), STDERR_KEPT);
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_its_children() {
        let started = Instant::now();
        let call = shell("echo waiting >&2; sleep 60 & wait");
        let error = runner(Duration::from_millis(300))
            .run(&call)
            .await
            .expect_err("sleeps too long");
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(error.may_have_run());
        let CommandError::TimedOut { stderr, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(stderr, "waiting\n");
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_the_path_searched() {
        let error = runner(LONG)
            .run(&Call::new(["sbatch-that-is-nowhere"]))
            .await
            .expect_err("is nowhere");
        assert!(!error.may_have_run());
        insta::assert_snapshot!(
            crate::scheduler::SchedulerError::from(error),
            @"`sbatch-that-is-nowhere` is not on the PATH (searched: /usr/bin:/bin)"
        );
    }

    #[tokio::test]
    async fn programs_are_taken_from_the_directory_given() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let runner = Runner::new(RunnerOptions {
            bin_dir: Some(directory.path().to_owned()),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            ..RunnerOptions::default()
        });
        assert!(runner.find("bash").is_err());
        std::os::unix::fs::symlink("/bin/bash", directory.path().join("bash")).expect("symlink");
        assert!(
            runner
                .run(&shell("true"))
                .await
                .expect("bash runs")
                .success()
        );
    }

    #[tokio::test]
    async fn only_queries_are_tried_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let log = directory.path().join("log");
        let call = shell(&format!(
            "echo x >> '{0}'; [ $(wc -l < '{0}') -ge 3 ]",
            log.display()
        ));
        let runner = runner(LONG);
        assert!(!runner.run(&call).await.expect("bash runs").success());
        let output = runner.query(&call, |output| !output.success()).await;
        assert!(output.expect("bash runs").success());
        let log = fs_err::read_to_string(log).expect("was written");
        assert_eq!(log.lines().count(), 3);
    }

    #[tokio::test]
    async fn starts_keep_their_distance() {
        let runner = Runner::new(RunnerOptions {
            spacing: Duration::from_millis(50),
            ..runner(LONG).options
        });
        let call = shell("true");
        let started = Instant::now();
        let _ = tokio::join!(runner.run(&call), runner.run(&call), runner.run(&call));
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}
