//! What is taken, what is refused, and in which words.

use reflow_tests::fake::Dialect;

use crate::rig::{BOTH, Lsf};

/// The table "Submit", with the exit code 255 and the words on standard error.
#[test]
fn refusals_have_their_words_and_use_up_a_number() {
    let rows: &[(&[&str], &str)] = &[
        (
            &["-q", "nosuch"],
            "nosuch: No such queue. Job not submitted.",
        ),
        (
            &["-q", "short", "-n", "8"],
            "Too many processors requested. Job not submitted.",
        ),
        (
            &["-n", "64"],
            "Too many processors requested. Job not submitted.",
        ),
        (
            &["-q", "short", "-W", "60"],
            "RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.",
        ),
        (
            &["-n", "0"],
            "The number of processors must be a positive integer. Job not submitted.",
        ),
        (
            &["-R", "bogus["],
            "Bad resource requirement syntax. Job not submitted.",
        ),
        (
            &["-R", "nosuchres>1"],
            "Bad resource requirement syntax. Job not submitted.",
        ),
        (
            &["-W", "0:00:30"],
            "0:00:30: Bad RUNLIMIT specification. Job not submitted.",
        ),
        (
            &["-W", "1.5"],
            "1.5: Bad RUNLIMIT specification. Job not submitted.",
        ),
        (
            &["-W", "abc"],
            "abc: Bad RUNLIMIT specification. Job not submitted.",
        ),
        (&["-J", "a[0-3]"], "Bad job name. Job not submitted."),
        (&["-J", "e[5-1]"], "Bad job name. Job not submitted."),
        (&["-J", "e[1-3"], "Bad job name. Job not submitted."),
        (
            &["-J", "g[1-1001]"],
            "Job array index too large. Job not submitted.",
        ),
        (
            &["-J", "g2[1000000]"],
            "Job array index too large. Job not submitted.",
        ),
        (
            &["-w", "done(99999)"],
            "99999: No matching job found. Job not submitted.",
        ),
        (
            &["-w", "done(noname)"],
            "noname: No matching job found. Job not submitted.",
        ),
        (
            &["-w", "done("],
            "done(: Dependency condition syntax error. Job not submitted.",
        ),
        (
            &["-w", "done(\"pa[1]\")"],
            "done(\"pa[1]\"): Dependency condition syntax error. Job not submitted.",
        ),
    ];
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        for (options, words) in rows {
            lsf.run("bsub", &[options, &["true"][..]].concat())
                .is("", words, 255);
        }
        let said = lsf.pipe(&[], "");
        said.is("", "No command is specified. Job not submitted.", 255);
        // "a job number is used up".
        let next = rows.len() + 2;
        lsf.run("bsub", &["true"]).is(
            &format!("Job <{next}> is submitted to default queue <normal>."),
            "",
            0,
        );
    }
}

#[test]
fn only_openlava_refuses_units_and_a_second_requirement() {
    let lsf = Lsf::start(Dialect::OpenLava);
    for (options, words) in [
        (
            &["-R", "rusage[mem=100GB]"][..],
            "Bad resource requirement syntax. Job not submitted.",
        ),
        (
            &["-M", "1GB"],
            "1GB: MEMLIMT value should be a positive integer. Job not submitted.",
        ),
        (
            &["-R", "span[hosts=1]", "-R", "rusage[mem=1]"],
            "Invalid syntax; the -R option was used more than once.",
        ),
    ] {
        lsf.run("bsub", &[options, &["true"]].concat())
            .is("", words, 255);
    }
    let lsf = Lsf::start(Dialect::Lsf);
    for options in [
        &["-R", "rusage[mem=1GB]"][..],
        &["-M", "1GB"],
        &["-R", "span[hosts=1]", "-R", "rusage[mem=1]"],
    ] {
        lsf.bsub(&[options, &["true"]].concat());
    }
}

#[test]
fn what_is_taken_is_told_with_its_queue() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let said = lsf.run("bsub", &["true"]);
        said.is("Job <1> is submitted to default queue <normal>.", "", 0);
        let said = lsf.run("bsub", &["-q", "normal", "true"]);
        said.is("Job <2> is submitted to queue <normal>.", "", 0);
        let said = lsf.pipe(&[], "#!/bin/sh\n#BSUB -q short\ntrue\n");
        said.is("Job <3> is submitted to queue <short>.", "", 0);
        // "`bsub ./script` | same line; `#BSUB` lines inside are ignored (it is just a command)".
        fs_err::write(lsf.path("script"), "#BSUB -q short\n").expect("writable");
        let said = lsf.run("bsub", &["./script"]);
        said.is("Job <4> is submitted to default queue <normal>.", "", 0);
        for options in [
            &["-W", "0"][..],
            &["-W", "1:30"],
            &["-J", "a/b:c.d"],
            &["-M", "50000"],
        ] {
            lsf.bsub(&[options, &["true"]].concat());
        }
    }
}

#[test]
fn an_unknown_option_gets_the_usage() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let said = lsf.run("bsub", &["-Qx", "true"]);
        assert_eq!((said.code, said.out.as_str()), (255, ""));
        assert!(said.err.contains("Usage:"), "{said:?}");
    }
}

/// "`-cwd /tmp` is read as `-c wd`, `-oo x` as `-o o` + command `x`, `-env all` as `-e nv` + command
/// `all` - silently wrong on openlava".
#[test]
fn openlava_takes_options_of_ibm_for_something_else() {
    let lsf = Lsf::start(Dialect::OpenLava);
    lsf.bsub(&["-oo", "x"]);
    lsf.wait("1", &["EXIT"]);
    assert!(lsf.file("o").contains("Exited with exit code 127."));
    let lsf = Lsf::start(Dialect::Lsf);
    for _ in 0..2 {
        let id = lsf.bsub(&[
            "-oo",
            "x",
            "-cwd",
            "/tmp",
            "-env",
            "all,A=b",
            "echo $A; pwd",
        ]);
        lsf.wait(&id, &["DONE"]);
    }
    let text = lsf.file("x");
    assert_eq!(text.matches("Sender:").count(), 1, "{text}");
    assert!(text.contains("follows:\n\nb\n/tmp\n"), "{text}");
}

#[test]
fn a_site_may_refuse_root_and_print_a_banner() {
    let lsf = Lsf::with(Dialect::OpenLava, |options| {
        options.lsf.refused_users = vec!["root".to_owned()];
        options.user = Some("root".to_owned());
    });
    let said = lsf.run("bsub", &["true"]);
    said.is("", "User permission denied. Job not submitted.", 255);
    let lsf = Lsf::with(Dialect::Lsf, |options| {
        options.lsf.banner = Some("Welcome to <site>".to_owned());
    });
    let said = lsf.run("bsub", &["true"]);
    said.is(
        "Welcome to <site>\nJob <1> is submitted to default queue <normal>.",
        "",
        0,
    );
}

#[test]
fn a_client_that_waits_ends_as_the_job_does() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let said = lsf.run("bsub", &["-K", "exit 7"]);
        said.is(
            "Job <1> is submitted to default queue <normal>.",
            "<<Waiting for dispatch ...>>\n<<Job is finished>>",
            7,
        );
    }
}

#[test]
fn more_memory_than_there_is_pends() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-R", "rusage[mem=900000]", "true"]);
        let text = lsf.long("bjobs", &id);
        let reason = "Job requirements for reserving resource (mem) not satisfied: 1 host;";
        assert!(text.contains(reason), "{text}");
        assert_eq!(lsf.states(&id), ["PEND"]);
    }
}
