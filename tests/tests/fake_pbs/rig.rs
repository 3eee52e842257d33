//! A fake with a directory to submit from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reflow_tests::fake::{Dialect, Fake, FakeOptions};
use serde_json::Value;

/// A fake with a directory to submit from.
pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) work: tempfile::TempDir,
}

/// What a client has said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Rig {
    pub(crate) fn open() -> Self {
        Self::with(FakeOptions::of(Dialect::OpenPbs))
    }

    pub(crate) fn with(options: FakeOptions) -> Self {
        Self::of(Dialect::OpenPbs, options)
    }

    pub(crate) fn of(dialect: Dialect, options: FakeOptions) -> Self {
        let rig = Self {
            fake: Fake::start(dialect, options),
            work: tempfile::tempdir().expect("the place for temporary files is writable"),
        };
        rig.write("ok.sh", "#!/bin/sh\necho out\necho err >&2\n");
        rig.write("fail.sh", "#!/bin/sh\nexit 3\n");
        rig.write("sleep.sh", "#!/bin/bash\nsleep 60\n");
        rig
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs_err::write(self.path(name), text).expect("the directory is ours");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).expect("the job has written it")
    }

    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, "")
    }

    pub(crate) fn run_with(&self, words: &[&str], stdin: &str) -> Said {
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
            .expect("the client is there");
        // One that reads nothing may be gone.
        let _ = child
            .stdin
            .take()
            .expect("it is a pipe")
            .write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("the child is ours");
        Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("plain text"),
            stderr: String::from_utf8(output.stderr).expect("plain text"),
        }
    }

    /// Submits, and returns the id without the server.
    #[track_caller]
    pub(crate) fn submit(&self, words: &[&str]) -> String {
        let said = self.run(&[&["qsub"], words].concat());
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        said.stdout
            .strip_suffix(".localhost\n")
            .unwrap_or_else(|| panic!("no id: {said:?}"))
            .to_owned()
    }

    /// Returns all jobs and elements by their ids without the server.
    pub(crate) fn jobs(&self) -> BTreeMap<String, Value> {
        let said = self.run(&["qstat", "-x", "-t", "-f", "-F", "json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let document: Value = serde_json::from_str(&said.stdout).expect("one document");
        let Some(jobs) = document.get("Jobs") else {
            return BTreeMap::new();
        };
        jobs.as_object()
            .expect("an object")
            .iter()
            .map(|(id, job)| {
                let id = id.strip_suffix(".localhost").expect("an id");
                (id.to_owned(), job.clone())
            })
            .collect()
    }

    /// Waits until a job, or an element, is as `is` wants, and returns it.
    #[track_caller]
    pub(crate) fn wait(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
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
    pub(crate) fn end(&self, id: &str) -> Value {
        self.wait(id, "finished", |job| job["job_state"] == "F")
    }

    #[track_caller]
    pub(crate) fn state(&self, id: &str, state: &str) -> Value {
        self.wait(id, state, |job| job["job_state"] == state)
    }

    /// Submits a command for a shell and waits for its end.
    #[track_caller]
    pub(crate) fn shell(&self, options: &[&str], text: &str) -> Value {
        self.write("shell.sh", &format!("#!/bin/bash\n{text}\n"));
        let id = self.submit(&[options, &["shell.sh"]].concat());
        self.end(&id)
    }
}

/// A row: the words, the exit code, standard output, the first line of standard error. `#` is the number of
/// the job.
pub(crate) type Row<'a> = (&'a [&'a str], i32, &'a str, &'a str);

#[track_caller]
pub(crate) fn check(rig: &Rig, rows: &[Row]) {
    for (number, (words, code, stdout, stderr)) in rows.iter().enumerate() {
        let said = rig.run(words);
        let first = said.stderr.lines().next().unwrap_or_default();
        let stdout = stdout.replace('#', &number.to_string());
        assert_eq!(said.code, Some(*code), "{words:?}: {said:?}");
        assert_eq!(said.stdout, stdout, "{words:?}: {said:?}");
        assert_eq!(first, *stderr, "{words:?}");
    }
}
