//! Arrays, and the environment of jobs.

use reflow_tests::fake::Dialect;

use crate::rig::{BOTH, Lsf};

#[test]
fn an_array_runs_the_indices_of_its_list() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-J", "d[1,3,5-9:2]", "touch ran.$LSB_JOBINDEX"]);
        lsf.wait(&id, &["DONE"; 5]);
        for index in [1, 3, 5, 7, 9] {
            assert!(lsf.path(&format!("ran.{index}")).exists());
        }
        let id = lsf.bsub(&["-J", "c[3]", "true"]);
        lsf.wait(&id, &["DONE"]);
        let text = lsf.run("bjobs", &["-a", "-w", &id]).out;
        assert!(text.contains(" c[3] "), "{text}");
    }
}

#[test]
fn a_limit_holds_and_none_is_for_ever() {
    let lsf = Lsf::start(Dialect::OpenLava);
    let id = lsf.bsub(&[
        "-J",
        "b[1-6]%2",
        "echo + >> trace; sleep 0.2; echo - >> trace",
    ]);
    let never = lsf.bsub(&["-J", "h[1-3]%0", "true"]);
    lsf.wait(&id, &["DONE"; 6]);
    let text = lsf.file("trace");
    let mut now = 0;
    let most = text.lines().map(|line| {
        now += if line == "+" { 1 } else { -1 };
        now
    });
    assert!(most.max() <= Some(2), "{text}");
    assert_eq!(lsf.states(&never), ["PEND"; 3]);
}

/// "An array spec on `-J` in the command line replaces `#BSUB -J` (a plain name there made it a
/// non-array)."
#[test]
fn the_command_line_goes_before_directives() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let script = "#!/bin/sh\n#BSUB -J \"many[1-3]\"\ntrue\n";
        let id = lsf.bsub_script(&["-J", "one"], script);
        lsf.wait(&id, &["DONE"]);
        let id = lsf.bsub_script(&[], script);
        lsf.wait(&id, &["DONE"; 3]);
    }
}

#[test]
fn jobs_know_who_they_are() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let print = "env | grep ^LSB_ > env.$LSB_JOBINDEX; env | grep -e ^MYVAR -e ^LS_ >> env.$LSB_JOBINDEX";
        let mut command = lsf.command("bsub", &["-n", "4", "-J", "c[2-3]", "-o", "f.%J.%I", print]);
        command.env("MYVAR", "hello").output().expect("it runs");
        lsf.wait("1", &["DONE"; 2]);
        let text = lsf.file("env.3");
        let has = |line: &str| text.lines().any(|found| found == line);
        for line in [
            "LSB_JOBID=1",
            "LSB_JOBINDEX=3",
            "LSB_JOBINDEX_END=3",
            "LSB_JOBNAME=c[3]",
            "LSB_QUEUE=normal",
            "LSB_HOSTS=vm vm vm vm",
            "LSB_MCPU_HOSTS=vm 4 ",
            "LSB_SUB_HOST=vm",
            "MYVAR=hello",
        ] {
            assert!(has(line), "no {line} in {text}");
        }
        assert!(has(&format!("LS_SUBCWD={}", lsf.home.path().display())));
        assert_eq!(has("LSB_DJOB_NUMPROC=4"), dialect == Dialect::Lsf);
        lsf.bsub(&["env > plain; pwd > here"]);
        lsf.wait("2", &["DONE"]);
        let text = lsf.file("plain");
        assert!(text.contains("LSB_JOBINDEX=0\n"), "{text}");
        assert!(
            text.contains("LSB_JOBNAME=env > plain; pwd > here\n"),
            "{text}"
        );
        assert!(!text.contains("LSB_JOBINDEX_END"), "{text}");
        assert_eq!(
            lsf.file("here").trim(),
            lsf.home.path().display().to_string()
        );
    }
}

#[test]
fn a_script_runs_by_its_shebang_from_a_copy() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let script = "#!/usr/bin/awk -f\nBEGIN { print \"by awk\" > \"said\" }\n";
        let id = lsf.bsub_script(&[], script);
        lsf.wait(&id, &["DONE"]);
        assert_eq!(lsf.file("said"), "by awk\n");
        let id = lsf.bsub_script(&["-o", "zero"], "#!/bin/bash\necho \"$0\"\n");
        lsf.wait(&id, &["DONE"]);
        let text = lsf.file("zero");
        assert!(text.contains("/.lsbatch/"), "{text}");
        assert!(text.contains(&format!(".{id}.shell\n")), "{text}");
    }
}

/// "`/bin/echo 'a b' '$HOME' ';id'` became `/bin/echo "a b" '$HOME' ;id`, and `id` RAN".
#[test]
fn command_words_are_a_line_of_shell() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-o", "out", "/bin/echo", "a b", "$HOME", ";id"]);
        lsf.wait(&id, &["DONE"]);
        let text = lsf.file("out");
        assert!(text.contains("follows:\n\na b $HOME\nuid="), "{text}");
    }
}
