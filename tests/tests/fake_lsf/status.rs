//! What is told about jobs and about the cluster.

use reflow_tests::fake::Dialect;
use serde_json::{Value, json};

use crate::rig::{BOTH, Lsf};

/// Replaces the time of day, which tests cannot know.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| match line.len() {
        length if length > 12 && line.as_bytes()[length - 3] == b':' => {
            format!("{}Nov 22 16:45", &line[..length - 12])
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_wide_listing_has_a_line_for_each_element() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-J", "pa[1-3]", "[ $LSB_JOBINDEX != 2 ]"]);
        lsf.wait(&id, &["DONE", "EXIT", "DONE"]);
        let said = lsf.run("bjobs", &["-a", "-w", &id]);
        assert_eq!(said.code, 0);
        // As observed, but for the number of the job.
        let expected = "\
JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME
1       reflowt DONE  normal     vm          vm          pa[1]      Nov 22 16:45
1       reflowt EXIT  normal     vm          vm          pa[2]      Nov 22 16:45
1       reflowt DONE  normal     vm          vm          pa[3]      Nov 22 16:45";
        assert_eq!(without_times(&said.out), expected);
        let one = lsf.run("bjobs", &["1[2]"]);
        assert_eq!((one.out.lines().count(), one.code), (2, 0));
        let said = lsf.run("bjobs", &["-A", &id]);
        let fields = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let lines: Vec<_> = said.out.lines().map(fields).collect();
        let head = "JOBID ARRAY_SPEC OWNER NJOBS PEND DONE RUN EXIT SSUSP USUSP PSUSP";
        assert_eq!(
            lines,
            [fields(head), fields("1 pa[1-3] reflowt 3 0 2 0 1 0 0 0")]
        );
    }
}

#[test]
fn names_are_cut_and_hosts_go_on_in_further_lines() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-J", "name with space", "-n", "3", "sleep 30"]);
        lsf.wait(&id, &["RUN"]);
        let said = lsf.run("bjobs", &[&id]);
        let expected = "\
JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME
1       reflowt RUN   normal     vm          vm          *ith space Nov 22 16:45
                                             vm
                                             vm";
        assert_eq!(without_times(&said.out), expected);
        let held = lsf.bsub(&["-H", "-J", "held", "true"]);
        let said = lsf.run("bjobs", &["-w", &held]);
        let line =
            "2       reflowt PSUSP normal     vm             -        held       Nov 22 16:45";
        assert_eq!(without_times(&said.out).lines().last(), Some(line));
    }
}

#[test]
fn what_is_not_there_is_told_by_exit_codes_that_differ() {
    let lsf = Lsf::start(Dialect::OpenLava);
    lsf.run("bjobs", &[]).is("", "No unfinished job found", 254);
    lsf.run("bjobs", &["99999"])
        .is("", "Job <99999> is not found", 255);
    let id = lsf.bsub(&["sleep 30"]);
    let said = lsf.run("bjobs", &[&id, "99999"]);
    assert_eq!((said.code, said.out.lines().count()), (255, 2));
    assert_eq!(said.err, "Job <99999> is not found\n");
    // "IBM: default exit 0 for "none found" and for ids partly unknown; LSB_BJOBS_CONSISTENT_EXIT_CODE=Y
    // gives 255".
    for (consistent, code) in [(false, 0), (true, 255)] {
        let lsf = Lsf::with(Dialect::Lsf, |options| {
            options.lsf.consistent_exit_code = consistent;
        });
        lsf.run("bjobs", &[])
            .is("", "No unfinished job found", code);
        let id = lsf.bsub(&["sleep 30"]);
        let said = lsf.run("bjobs", &[&id, "99999"]);
        assert_eq!((said.code, said.out.lines().count()), (code, 2));
    }
}

#[test]
fn finished_jobs_are_listed_when_asked_for() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let done = lsf.bsub(&["true"]);
        lsf.wait(&done, &["DONE"]);
        let runs = lsf.bsub(&["-J", "r", "sleep 30"]);
        lsf.wait(&runs, &["RUN"]);
        let ids = |arguments: &[&str]| {
            let said = lsf.run("bjobs", arguments);
            let first = said.out.lines().skip(1);
            let first = first.map(|line| line.split(' ').next().expect("a number").to_owned());
            first.collect::<Vec<_>>()
        };
        assert_eq!(ids(&[]), std::slice::from_ref(&runs));
        assert_eq!(ids(&["-a"]), [done.clone(), runs.clone()]);
        assert_eq!(ids(&["-d"]), std::slice::from_ref(&done));
        assert_eq!(ids(&["-a", "-J", "r"]), std::slice::from_ref(&runs));
        assert_eq!(ids(&["-u", "all", "-r"]), [runs]);
        assert_eq!(ids(&[&done]), [done]);
    }
}

/// "Exit code only in `bjobs -l` / `bhist -l`, text wrapped at 80 columns with 21 blanks indentation".
#[test]
fn the_long_form_is_wrapped() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-J", "pa[2]", "-M", "50000", "-W", "90", "exit 4"]);
        lsf.wait(&id, &["EXIT"]);
        let said = lsf.run("bjobs", &["-l", "1[2]"]);
        assert!(
            said.out.lines().all(|line| line.len() <= 80),
            "{}",
            said.out
        );
        assert!(
            said.out.contains(&format!("\n{}", " ".repeat(21))),
            "{}",
            said.out
        );
        let text = lsf.long("bjobs", "1[2]");
        for part in [
            "\nJob <1[2]>, Job Name <pa[2]>, User <reflowt>, Project <default>, Status <EXIT>, Queue <normal>, Command <exit 4>\n",
            ": Submitted from host <vm>, CWD <",
            "\n MEMLIMIT\n  50000 K\n",
            "\n 90.0 min of vm",
            ": [2] started on <vm>, Execution Home <",
            ": Exited with exit code 4. The CPU time used is 0.0 seconds.\n",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        let text = lsf.long("bhist", "1[2]");
        assert!(text.contains("Exited with exit code 4"), "{text}");
        let said = lsf.run("bhist", &["99999"]);
        said.is("", "No matching job found", 255);
        // "`bacct` does not exist in openlava."
        assert!(!lsf.fake.bin().join("bacct").exists());
    }
}

/// "openlava: `-o`, `-json`, `-noheader`, `-UF` = `bjobs: invalid option -- 'o'` + usage [255]."
#[test]
fn openlava_has_no_custom_output() {
    let lsf = Lsf::start(Dialect::OpenLava);
    for (option, letter) in [
        ("-o", 'o'),
        ("-json", 'j'),
        ("-noheader", 'n'),
        ("-UF", 'U'),
    ] {
        let said = lsf.run("bjobs", &[option, "jobid"]);
        assert_eq!((said.code, said.out.as_str()), (255, ""));
        let words = format!("bjobs: invalid option -- '{letter}'\n");
        assert!(
            said.err.starts_with(&words) && said.err.contains("Usage: bjobs"),
            "{said:?}"
        );
    }
}

#[test]
fn ibm_has_custom_output() {
    let lsf = Lsf::start(Dialect::Lsf);
    let id = lsf.bsub(&["-J", "pa[1-2]", "exit $((LSB_JOBINDEX - 1))"]);
    lsf.wait(&id, &["DONE", "EXIT"]);
    let fields = "jobid jobindex stat exit_code exit_reason job_name";
    let said = lsf.run(
        "bjobs",
        &["-a", "-noheader", "-o", &format!("{fields} delimiter='|'")],
    );
    said.is("1|1|DONE|-|-|pa[1]\n1|2|EXIT|1|-|pa[2]", "", 0);
    let said = lsf.run(
        "bjobs",
        &["-o", "id stat:-6 name:4 delimiter=^", "1[2]", "7"],
    );
    assert_eq!(said.out, "JOBID^  STAT^*AME\n1^  EXIT^*[2]\n");
    assert_eq!(said.err, "Job <7> is not found\n");
    let said = lsf.run(
        "bjobs",
        &["-json", "-o", "jobid stat exit_code", "1[2]", "7"],
    );
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        document,
        json!({"COMMAND": "bjobs", "JOBS": 2, "RECORDS": [
            {"JOBID": "1", "STAT": "EXIT", "EXIT_CODE": "1"},
            {"JOBID": "7", "ERROR": "Job <7> is not found"},
        ]})
    );
    for wrong in [
        &["-json"][..],
        &["-json", "-noheader", "-o", "stat"],
        &["-o", "nosuch"],
    ] {
        assert_eq!(lsf.run("bjobs", wrong).code, 255, "{wrong:?}");
    }
    let killed = lsf.bsub(&["-H", "true"]);
    lsf.run("bkill", &[&killed]);
    let said = lsf.run("bjobs", &["-a", "-noheader", "-o", "exit_reason", &killed]);
    said.is("TERM_OWNER: job killed by owner", "", 0);
    // `-UF` is the long form unwrapped.
    let said = lsf.run("bjobs", &["-UF", "1[2]"]);
    assert!(
        said.out
            .contains("Status <EXIT>, Queue <normal>, Command <"),
        "{}",
        said.out
    );
}

#[test]
fn the_cluster_tells_about_itself() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let name = match dialect {
            Dialect::OpenLava => "openlava project 2.2",
            _ => "IBM Spectrum LSF Standard 10.1.0.0",
        };
        assert!(lsf.run("lsid", &[]).out.starts_with(name));
        let version = lsf.run("bsub", &["-V"]);
        assert!(version.err.starts_with(name) && version.code == 0);
        let text = lsf.run("bparams", &["-l"]).out;
        assert!(text.contains("MAX_JOB_ARRAY_SIZE = 1000\n"), "{text}");
        assert!(text.contains("CLEAN_PERIOD = 3600 "), "{text}");
        let text = lsf.run("bqueues", &["-l", "short"]).out;
        assert!(text.contains("\nQUEUE: short\n"), "{text}");
        assert!(
            text.contains(" RUNLIMIT                 PROCLIMIT"),
            "{text}"
        );
        assert!(text.contains("\n 2.0 min                  4\n"), "{text}");
        lsf.run("bqueues", &["nosuch"])
            .is("", "nosuch: No such queue", 255);
        assert!(lsf.run("bhosts", &[]).out.contains("vm                 ok"));
    }
}
