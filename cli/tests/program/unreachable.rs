//! A batch system that cannot be reached for a while: whoever waits says so once, and goes on.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{SLURM_CONFIG, Sandbox};

/// One task that ends when `go` is in the run directory.
const GATED: &str = r#"
[workflow]
name = "gated"
[tasks.one]
shell = "for i in $(seq 1200); do [ ! -e go ] || break; sleep 0.05; done; echo 7"
returns = "int"
"#;

/// What Slurm's programs say when the controller is down.
const DOWN: &str = "if [ -e \"$HERE/down\" ]; then\n\
    echo \"$(basename \"$0\"): error: Unable to contact slurm controller (connect failure)\" >&2\n\
    exit 1\nfi\n";

/// Runs a job at once, or when the jobs that it comes after have ended, in any way. What waits for a
/// failure never runs.
const SBATCH: &str = r#"
id=1; while ! mkdir "$HERE/jobs/$id" 2>/dev/null; do id=$((id + 1)); done
cat > "$HERE/jobs/$id/script"
after=
for word; do
    case $word in
        --dependency=*afternotok*) echo $id; exit;;
        --dependency=*) after=$(grep -o '[0-9]*' <<< "$word");;
    esac
done
{
    for parent in $after; do while [ ! -e "$HERE/jobs/$parent/ended" ]; do
        [ -d "$HERE/jobs" ] || exit # The test is over.
        sleep 0.05
    done; done
    SLURM_JOB_ID=$id bash "$HERE/jobs/$id/script"
    touch "$HERE/jobs/$id/ended"
} < /dev/null > "$HERE/jobs/$id/output" 2>&1 &
echo $id
"#;

/// Returns a place with stand-ins for Slurm's programs, which fail while the file `down` is there.
fn with_slurm() -> Sandbox {
    let sandbox = Sandbox::with_workflow(GATED);
    fs_err::create_dir_all(sandbox.path().join("jobs")).expect("a directory can be made");
    let config = format!("case \"$*\" in *'show config'*) cat '{SLURM_CONFIG}';; esac");
    for (name, text) in [
        ("sbatch", SBATCH),
        ("scontrol", config.as_str()),
        ("sinfo", ""),
        ("squeue", ""),
        ("sacct", ""),
        ("scancel", ""),
    ] {
        let here = sandbox.path().display();
        let version = "[ \"$1\" != --version ] || { echo slurm 22.05.8; exit; }";
        let text = format!("#!/bin/bash\nHERE='{here}'\n{version}\n{DOWN}{text}\n");
        let path = sandbox.write(&format!("bin/{name}"), &text);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("a program can be made");
    }
    let bin = sandbox.path().join("bin");
    sandbox.write(
        "home/.config/reflow/config.toml",
        &format!(
            "default_backend = 'slurm'\nlatency = 1\n[backend.slurm]\nbin_dir = '{}'\n",
            bin.display()
        ),
    );
    let submitted = sandbox.run(&["submit", "-w", "wordcount", "--run-dir", "run"]);
    assert_eq!(submitted.code, Some(0), "{}", submitted.shown());
    sandbox
}

/// A command that runs beside the test, and what it has said.
struct Beside {
    child: Child,
    said: PathBuf,
}

impl Beside {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let said = sandbox.path().join(format!("said-{}", arguments.concat()));
        let output = fs_err::File::create(&said).expect("a file can be made");
        #[expect(
            clippy::disallowed_methods,
            reason = "a test starts the program as a user does"
        )]
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("reflow"));
        let child = command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", sandbox.path().join("home"))
            .env("REFLOW_SYSTEM_CONFIG", sandbox.path().join("system.toml"))
            .env("REFLOW_RUNTIME_DIR", sandbox.path().join("runtime"))
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.into_parts().0)
            .spawn()
            .expect("the program can be started");
        Self { child, said }
    }

    fn said(&self) -> String {
        fs_err::read_to_string(&self.said).expect("the file is ours")
    }

    /// Waits until it has said `text`.
    fn says(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !self.said().contains(text) {
            assert!(Instant::now() < deadline, "not `{text}`: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended; what counts is that it does not outlive the test.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const LOST: &str = "the batch system cannot be reached (the controller could not be asked: \
    scontrol: error: Unable to contact slurm controller (connect failure)); trying again every 10 s";

#[test]
fn wait_says_once_that_the_batch_system_cannot_be_reached_and_goes_on() {
    let sandbox = with_slurm();
    let down = sandbox.write("down", "");
    let mut wait = Beside::start(&sandbox, &["wait", "run"]);
    wait.says(LOST);
    // Asked again meanwhile, in vain.
    std::thread::sleep(Duration::from_secs(12));
    fs_err::remove_file(down).expect("the file is there");
    wait.says("the batch system answers again");
    sandbox.write("run/go", "");
    let status = wait.child.wait().expect("the child is ours");
    let said = wait.said();
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(said.matches("cannot be reached").count(), 1, "{said}");
    assert_eq!(said.matches("answers again").count(), 1, "{said}");
    assert!(!said.contains("WARN"), "{said}");
}

#[test]
fn cancel_is_recorded_at_once_and_finished_when_the_batch_system_answers() {
    let sandbox = with_slurm();
    let down = sandbox.write("down", "");
    let mut cancel = Beside::start(&sandbox, &["cancel", "run"]);
    cancel.says("the batch system cannot be reached (");
    let deadline = Instant::now() + Duration::from_mins(1);
    while sandbox.run(&["--json", "status", "run"]).json()["state"] != "cancelled" {
        assert!(Instant::now() < deadline, "{}", cancel.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    // It is not sure yet that nothing is left in the queue.
    assert!(
        cancel
            .child
            .try_wait()
            .expect("the child is ours")
            .is_none()
    );
    fs_err::remove_file(down).expect("the file is there");
    let status = cancel.child.wait().expect("the child is ours");
    let said = cancel.said();
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(said.matches("cannot be reached").count(), 1, "{said}");
    assert!(!said.contains("WARN"), "{said}");
}

#[test]
fn a_run_is_watched_also_where_the_programs_of_the_batch_system_are_not() {
    let sandbox = with_slurm();
    fs_err::rename(sandbox.path().join("bin"), sandbox.path().join("moved")).expect("moved");
    let mut wait = Beside::start(&sandbox, &["wait", "run"]);
    wait.says(
        "the batch system cannot be reached (`sbatch` is not in [DIR]/bin)"
            .replace("[DIR]", &sandbox.path().display().to_string())
            .as_str(),
    );
    // What plans, and what is asked to change the run, says at once that it cannot.
    for arguments in [&["drive", "run"][..], &["cancel", "run"]] {
        let refused = sandbox.run(arguments);
        assert_eq!(refused.code, Some(3), "{}", refused.shown());
        assert!(
            refused
                .stderr
                .contains("could not connect to the backend `slurm`"),
            "{}",
            refused.shown()
        );
    }
    let job = sandbox.run(&["dispatch", "--run-dir", "run"]);
    assert_eq!(job.code, Some(3), "{}", job.shown());
    fs_err::rename(sandbox.path().join("moved"), sandbox.path().join("bin")).expect("moved");
    sandbox.write("run/go", "");
    let status = wait.child.wait().expect("the child is ours");
    assert_eq!(status.code(), Some(0), "{}", wait.said());
}
