//! The fake of PBS says what the real one was observed to say (OpenPBS 23.06.06), row for row.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reflow_tests::fake::{Dialect, Fake, FakeOptions};
use serde_json::Value;

/// A fake with a directory to submit from.
struct Rig {
    fake: Fake,
    work: tempfile::TempDir,
}

/// What a client has said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Rig {
    fn open() -> Self {
        Self::with(FakeOptions::of(Dialect::OpenPbs))
    }

    fn with(options: FakeOptions) -> Self {
        let rig = Self {
            fake: Fake::start(Dialect::OpenPbs, options),
            work: tempfile::tempdir().unwrap(),
        };
        rig.write("ok.sh", "#!/bin/sh\necho out\necho err >&2\n");
        rig.write("fail.sh", "#!/bin/sh\nexit 3\n");
        rig.write("sleep.sh", "#!/bin/bash\nsleep 60\n");
        rig
    }

    fn write(&self, name: &str, text: &str) {
        fs_err::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, "")
    }

    fn run_with(&self, words: &[&str], stdin: &str) -> Said {
        let mut child = self
            .fake
            .client(words[0])
            .args(&words[1..])
            .current_dir(self.work.path())
            .env("MYVAR", "mine")
            .env("ODD", "it's")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that reads nothing may be gone.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Submits, and returns the id without the server.
    #[track_caller]
    fn submit(&self, words: &[&str]) -> String {
        let said = self.run(&[&["qsub"], words].concat());
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        said.stdout
            .strip_suffix(".localhost\n")
            .unwrap_or_else(|| panic!("no id: {said:?}"))
            .to_owned()
    }

    /// Returns all jobs and elements by their ids without the server.
    fn jobs(&self) -> BTreeMap<String, Value> {
        let said = self.run(&["qstat", "-x", "-t", "-f", "-F", "json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let document: Value = serde_json::from_str(&said.stdout).unwrap();
        let Some(jobs) = document.get("Jobs") else {
            return BTreeMap::new();
        };
        jobs.as_object()
            .unwrap()
            .iter()
            .map(|(id, job)| {
                let id = id.strip_suffix(".localhost").unwrap();
                (id.to_owned(), job.clone())
            })
            .collect()
    }

    /// Waits until a job, or an element, is as `is` wants, and returns it.
    #[track_caller]
    fn wait(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let job = self.jobs().remove(id).unwrap_or_default();
            if is(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "{id} is not {what}: {job:#}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits for the end of a job.
    #[track_caller]
    fn end(&self, id: &str) -> Value {
        self.wait(id, "finished", |job| job["job_state"] == "F")
    }

    #[track_caller]
    fn state(&self, id: &str, state: &str) -> Value {
        self.wait(id, state, |job| job["job_state"] == state)
    }

    /// Submits a command for a shell and waits for its end.
    #[track_caller]
    fn shell(&self, options: &[&str], text: &str) -> Value {
        self.write("shell.sh", &format!("#!/bin/bash\n{text}\n"));
        let id = self.submit(&[options, &["shell.sh"]].concat());
        self.end(&id)
    }
}

/// A row: the words, the exit code, standard output, the first line of standard error. `#` is the number of
/// the job.
type Row<'a> = (&'a [&'a str], i32, &'a str, &'a str);

#[track_caller]
fn check(rig: &Rig, rows: &[Row]) {
    for (number, (words, code, stdout, stderr)) in rows.iter().enumerate() {
        let said = rig.run(words);
        let first = said.stderr.lines().next().unwrap_or_default();
        let stdout = stdout.replace('#', &number.to_string());
        assert_eq!(said.code, Some(*code), "{words:?}: {said:?}");
        assert_eq!(said.stdout, stdout, "{words:?}: {said:?}");
        assert_eq!(first, *stderr, "{words:?}");
    }
}

#[test]
fn submissions_are_answered_as_observed() {
    let rig = Rig::open();
    rig.write("crlf.sh", "#!/bin/sh\r\necho\r\n");
    let long = "n".repeat(230);
    let longer = "n".repeat(231);
    // Each uses a number up, the refused ones of the server too.
    let by_server: &[Row] = &[
        (&["qsub", "ok.sh"], 0, "#.localhost\n", ""),
        (
            &["qsub", "--", "/bin/echo", "hello"],
            0,
            "#.localhost\n",
            "",
        ),
        (&["qsub", "-z", "ok.sh"], 0, "", ""),
        (
            &["qsub", "-q", "nosuchq", "ok.sh"],
            170,
            "",
            "qsub: Unknown queue",
        ),
        (
            &["qsub", "-q", "closed", "ok.sh"],
            173,
            "",
            "qsub: Queue is not enabled",
        ),
        (
            &["qsub", "-q", "short", "-l", "walltime=01:00:00", "ok.sh"],
            188,
            "",
            "qsub: Job violates queue and/or server resource limits",
        ),
        (
            &["qsub", "-q", "short", "-l", "select=1:ncpus=8", "ok.sh"],
            188,
            "",
            "qsub: Job violates queue and/or server resource limits",
        ),
        (
            &["qsub", "-l", "nosuchres=1", "ok.sh"],
            187,
            "",
            "qsub: Unknown resource Resource_List.nosuchres",
        ),
        (
            &["qsub", "-l", "select=1:nosuchres=1", "ok.sh"],
            187,
            "",
            "qsub: Unknown resource: nosuchres",
        ),
        (
            &["qsub", "-l", "walltime=abc", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value Resource_List.walltime",
        ),
        (
            &["qsub", "-l", "walltime=90m", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value Resource_List.walltime",
        ),
        (
            &["qsub", "-l", "select=1:ncpus=x", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value select.ncpus",
        ),
        (
            &["qsub", "-l", "select=1:mem=1.5gb", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value select.mem",
        ),
        (
            &["qsub", "-l", "select=1:ncpus=2", "-l", "ncpus=2", "ok.sh"],
            5,
            "",
            "qsub: \"-lresource=\" cannot be used with \"select\" or \"place\", resource is: ncpus",
        ),
        (&["qsub", "-N", &long, "ok.sh"], 0, "#.localhost\n", ""),
        (&["qsub", "-N", "-1", "ok.sh"], 0, "#.localhost\n", ""),
        (&["qsub", "-J", "0-3", "ok.sh"], 0, "#[].localhost\n", ""),
        (
            &["qsub", "-J", "0-3:2%1", "ok.sh"],
            0,
            "#[].localhost\n",
            "",
        ),
        (
            &["qsub", "-J", "0-1%1:2", "ok.sh"],
            166,
            "",
            "qsub: Error (15014) submitting job",
        ),
        (
            &["qsub", "-h", "-J", "0-9999", "ok.sh"],
            0,
            "#[].localhost\n",
            "",
        ),
        (
            &["qsub", "-J", "0-10000", "ok.sh"],
            3,
            "",
            "qsub: Array job exceeds server or queue size limit",
        ),
        (
            &["qsub", "-W", "depend=afterok:99999", "ok.sh"],
            0,
            "#.localhost\n",
            "",
        ),
    ];
    check(&rig, by_server);
    let by_client: &[Row] = &[
        (
            &["qsub", "ok.sh", "one", "two"],
            2,
            "",
            "qsub: script has no arguments",
        ),
        (
            &["qsub", "nosuch.sh"],
            1,
            "",
            "qsub: script file:: No such file or directory",
        ),
        (&["qsub", "crlf.sh"], 1, "", "qsub: script contains cr, lf"),
        (
            &["qsub", "-N", &longer, "ok.sh"],
            2,
            "",
            "qsub: Job name is too long",
        ),
        (
            &["qsub", "-t", "0-3", "ok.sh"],
            2,
            "",
            "qsub: invalid option -- 't'",
        ),
        (
            &["qsub", "-v", "ODD", "ok.sh"],
            1,
            "",
            "qsub: cannot send environment with the job",
        ),
    ];
    check(&rig, by_client);
    for name in ["a b", "a/b", "a:b", "a[b", "a]b"] {
        check(
            &rig,
            &[(
                &["qsub", "-N", name, "ok.sh"],
                2,
                "",
                "qsub: illegal -N value",
            )],
        );
    }
    for array in ["0-0", "5-5", "3", "5-1", "-1-3", "1,3,5"] {
        check(
            &rig,
            &[(
                &["qsub", "-J", array, "ok.sh"],
                2,
                "",
                "qsub: illegal -J value",
            )],
        );
    }
    for depend in [
        "afterwards:1",
        "afterok:53[0]",
        "afterokarray:53[]",
        "afterok",
    ] {
        let depend = format!("depend={depend}");
        check(
            &rig,
            &[(
                &["qsub", "-W", &depend, "ok.sh"],
                2,
                "",
                "qsub: illegal -W value",
            )],
        );
    }
}
