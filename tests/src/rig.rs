//! A Slurm of a test's own, for what must not happen to one that is shared.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::program::{Program, command};

/// The script that starts and stops it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm-up");

/// A Slurm with daemons, nodes and state of its own, gone when this is dropped.
#[derive(Debug)]
pub struct Rig {
    directory: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Rig {
    /// Returns what this machine lacks to start one, if anything.
    pub fn missing() -> Option<&'static str> {
        let is_root = rustix::process::geteuid().is_root();
        let is_installed = ["/usr/sbin/slurmctld", "/usr/sbin/slurmd"]
            .iter()
            .all(|path| Path::new(path).exists());
        match (is_root, is_installed) {
            (false, _) => Some("starting a Slurm of its own needs root"),
            (_, false) => Some("Slurm's daemons are not installed (tests/slurm-up install)"),
            _ => None,
        }
    }

    /// Starts one, with settings of `tests/slurm-up` such as `SLURM_RIG_ACCOUNTING`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(settings: &[(&'static str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let directory = std::env::temp_dir().join(format!("reflow-rig-{process}-{number}"));
        let etc = directory.join("etc");
        fs_err::create_dir_all(&etc).expect("the temporary directory is writable");
        // Below the ports that Linux gives to whoever asks for any, and apart from those of the shared one.
        let port = 7000 + (process + number) % 400 * 10;
        let node_port = 18_000 + (process + number) % 90 * 150;
        let mut variables = vec![
            ("RIG", directory.display().to_string()),
            ("SLURM_RIG_CONF", etc.display().to_string()),
            ("SLURM_CONF", etc.join("slurm.conf").display().to_string()),
            ("SLURM_RIG_PORT", port.to_string()),
            ("SLURM_RIG_NODEPORT", node_port.to_string()),
            ("SLURM_RIG_PREFIX", "t".to_owned()),
        ];
        variables.extend(
            settings
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let rig = Self {
            directory,
            variables,
        };
        rig.script("up");
        rig
    }

    /// Returns the program in fresh surroundings, running on this Slurm.
    pub fn program(&self) -> Program {
        Program::slurm().with_variable("SLURM_CONF", self.variable("SLURM_CONF"))
    }

    /// Runs one of Slurm's commands and returns what it prints.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let output = command(Path::new(program))
            .args(arguments)
            .env("SLURM_CONF", self.variable("SLURM_CONF"))
            .env("SLURM_TIME_FORMAT", "%s")
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns the lines of the queue, an element a line: `ID STATE NODES REMARK`.
    pub fn queue(&self) -> Vec<String> {
        self.slurm("squeue", &["--noheader", "--array", "--format=%i %T %N %k"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Stops a daemon, such as `slurmctld`, as its service would.
    ///
    /// # Panics
    /// When it does not stop within a minute.
    pub fn stop(&self, daemon: &str) {
        self.signal(daemon, "-TERM");
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.signal(daemon, "-0") {
            assert!(Instant::now() < deadline, "{daemon} does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
        fs_err::remove_file(self.pid_file(daemon)).expect("the file is ours");
    }

    /// Stops a daemon from doing anything: it takes connections, and does not answer.
    pub fn freeze(&self, daemon: &str) {
        assert!(self.signal(daemon, "-STOP"), "{daemon} is not there");
    }

    /// Lets a frozen daemon go on, with what has come in meanwhile.
    pub fn thaw(&self, daemon: &str) {
        assert!(self.signal(daemon, "-CONT"), "{daemon} is not there");
    }

    fn pid_file(&self, daemon: &str) -> PathBuf {
        self.directory.join("run").join(format!("{daemon}.pid"))
    }

    fn signal(&self, daemon: &str, signal: &str) -> bool {
        let text = fs_err::read_to_string(self.pid_file(daemon))
            .expect("the daemon was started by the script");
        let pid = text.split(' ').next().unwrap_or_default();
        command(Path::new("kill"))
            .args([signal, pid])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Starts what has been stopped.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        self.script("up");
    }

    fn variable(&self, name: &str) -> &str {
        self.variables
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }

    fn script(&self, what: &str) {
        let output = command(Path::new(SCRIPT))
            .arg(what)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("the script is there");
        assert!(
            output.status.success(),
            "slurm-up {what}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // What a failed test has left is wanted, but not its daemons.
        let what = if std::thread::panicking() {
            "down"
        } else {
            "wipe"
        };
        let _ = command(Path::new(SCRIPT))
            .arg(what)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
