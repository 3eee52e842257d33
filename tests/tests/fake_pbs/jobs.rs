//! Resources, environment, directory, exit codes and limits of jobs.

use reflow_tests::fake::{Dialect, FakeOptions};

use crate::rig::Rig;

#[test]
fn resources_are_shown_as_observed() {
    let rig = Rig::open();
    for (asked, name, shown) in [
        ("walltime=90", "walltime", "00:01:30"),
        ("walltime=1:30", "walltime", "00:01:30"),
        ("walltime=00:90:00", "walltime", "01:30:00"),
        ("walltime=100:00:00", "walltime", "100:00:00"),
        ("mem=1500", "mem", "1500b"),
        (
            "nodes=1:ppn=2,mem=100mb",
            "select",
            "1:ncpus=2:mem=102400KB:mpiprocs=2",
        ),
        ("nodes=1:ppn=2,mem=100mb", "place", "scatter"),
    ] {
        let id = rig.submit(&["-h", "-l", asked, "ok.sh"]);
        let job = rig.jobs().remove(&id).unwrap();
        assert_eq!(job["Resource_List"][name], shown, "{asked}");
    }
    let id = rig.submit(&["-h", "ok.sh"]);
    assert_eq!(rig.jobs()[&id]["Resource_List"]["ncpus"], 1);
}

#[test]
fn more_than_the_machine_has_is_taken_and_stays() {
    let rig = Rig::open();
    for (asked, comment) in [
        (
            "select=1:ncpus=64",
            "Can Never Run: Insufficient amount of resource: ncpus (R: 64 A: 16 T: 16)",
        ),
        (
            "select=2:ncpus=1,place=scatter",
            "Can Never Run: Not enough total nodes available",
        ),
    ] {
        let id = rig.submit(&["-l", asked, "ok.sh"]);
        let job = rig.jobs().remove(&id).unwrap();
        assert_eq!(job["job_state"], "Q");
        assert_eq!(job["comment"], comment);
    }
    // So does what wants more memory than there is.
    let id = rig.submit(&["-l", "select=1:mem=100tb", "ok.sh"]);
    let job = rig.jobs().remove(&id).unwrap();
    let comment = job["comment"].as_str().unwrap();
    assert!(comment.starts_with("Can Never Run: Insufficient amount of resource: mem"));
}

#[test]
fn cpus_and_threads_are_told() {
    let rig = Rig::open();
    let show = "echo $NCPUS $OMP_NUM_THREADS $(wc -l < $PBS_NODEFILE)";
    rig.shell(&["-o", "a", "-l", "select=1:ncpus=3"], show);
    assert_eq!(rig.read("a"), "3 3 1\n");
    let asked = "select=1:ncpus=4:mpiprocs=2:ompthreads=2";
    rig.shell(&["-o", "b", "-l", asked], show);
    assert_eq!(rig.read("b"), "2 2 2\n");
}

#[test]
fn a_job_starts_at_home_with_next_to_no_environment() {
    let rig = Rig::open();
    rig.shell(
        &["-o", "out"],
        "pwd -P; echo $HOME ${MYVAR-unset} $PBS_ENVIRONMENT $ENVIRONMENT $PBS_QUEUE $PBS_JOBNAME",
    );
    let home = rig.fake.directory().join("home");
    let home = home.display();
    assert_eq!(
        rig.read("out"),
        format!("{home}\n{home} unset PBS_BATCH BATCH workq shell.sh\n")
    );
    rig.shell(&["-o", "where"], "echo $PBS_O_WORKDIR");
    assert_eq!(
        rig.read("where"),
        format!("{}\n", rig.work.path().display())
    );
}

#[test]
fn variables_are_passed_as_asked() {
    let rig = Rig::open();
    for (option, value, shown) in [
        ("-v", "MYVAR", "mine"),
        ("-v", "MYVAR=other", "other"),
        ("-v", r"MYVAR=x\,y", "x,y"),
        ("-v", "MYVAR=\"x,y\"", "x,y"),
    ] {
        rig.shell(&["-o", "out", option, value], "echo $MYVAR");
        assert_eq!(rig.read("out"), format!("{shown}\n"), "{value}");
    }
    let job = rig.shell(
        &["-o", "out", "-V", "-v", "B=1"],
        "echo $MYVAR; echo \"$ODD\"",
    );
    assert_eq!(rig.read("out"), "mine\nit's\n");
    // "numeric-looking values become numbers (`"B": 1`)".
    assert_eq!(job["Variable_List"]["B"], 1);
}

#[test]
fn the_script_says_what_interprets_it() {
    let rig = Rig::open();
    rig.write("p.py", "#!/usr/bin/env python3\nimport sys\nsys.exit(9)\n");
    let id = rig.submit(&["p.py"]);
    assert_eq!(rig.end(&id)["Exit_status"], 9);
    // "with `-S /usr/bin/python3` it FAILED (the path of the script is fed on stdin)".
    let id = rig.submit(&["-S", "/usr/bin/python3", "p.py"]);
    assert_ne!(rig.end(&id)["Exit_status"], 9);
}

#[test]
fn standard_input_is_a_script_too() {
    let rig = Rig::open();
    let script = "#PBS -N named -J 1-2\nexit $PBS_ARRAY_INDEX\n";
    let said = rig.run_with(&["qsub"], script);
    assert_eq!(said.stdout, "0[].localhost\n");
    rig.end("0[]");
    let jobs = rig.jobs();
    assert_eq!(jobs["0[2]"]["Exit_status"], 2);
    assert_eq!(jobs["0[]"]["Job_Name"], "named");
    let said = rig.run_with(&["qsub", "-"], "exit 4");
    assert_eq!(said.stdout, "1.localhost\n");
    let job = rig.end("1");
    assert_eq!(job["Job_Name"], "STDIN");
    assert_eq!(job["Exit_status"], 4);
}

#[test]
fn exit_codes_as_observed() {
    let rig = Rig::open();
    let command = |words: &[&str]| {
        let id = rig.submit(words);
        let job = rig.end(&id);
        (job["Exit_status"].as_i64(), job["substate"].as_i64())
    };
    rig.write("seven.sh", "exit 7\n");
    assert_eq!(command(&["seven.sh"]), (Some(7), Some(93)));
    assert_eq!(command(&["ok.sh"]), (Some(0), Some(92)));
    let kill = |signal: &str| format!("kill -{signal} $$");
    let (killed, broken) = (kill("KILL"), kill("SEGV"));
    assert_eq!(
        command(&["--", "/bin/sh", "-c", &killed]),
        (Some(265), Some(93))
    );
    assert_eq!(
        command(&["--", "/bin/sh", "-c", &broken]),
        (Some(267), Some(93))
    );
    assert_eq!(
        command(&["-e", "err", "--", "/no/such/cmd"]),
        (Some(254), Some(93))
    );
    assert_eq!(
        rig.read("err"),
        "pbs_mom, exec of /no/such/cmd failed with error: No such file or directory\n"
    );
}

#[test]
fn a_blocking_submission_ends_as_the_job() {
    let rig = Rig::open();
    let said = rig.run(&["qsub", "-W", "block=true", "--", "/bin/sh", "-c", "exit 6"]);
    assert_eq!(said.stdout, "0.localhost\n");
    assert_eq!(said.code, Some(6));
}

#[test]
fn too_long_is_killed() {
    let rig = Rig::open();
    let job = rig.shell(&["-o", "out", "-l", "walltime=1"], "sleep 60");
    assert_eq!(job["Exit_status"], -29);
    assert_eq!(job["substate"], 93);
    let comment = job["comment"].as_str().unwrap();
    assert!(
        comment.ends_with("and exceeded resource walltime"),
        "{comment}"
    );
    let said = rig.read("out");
    assert!(said.starts_with("=>> PBS: job killed: walltime "), "{said}");
    assert!(said.ends_with(" exceeded limit 1\n"), "{said}");
}

#[test]
fn what_does_not_heed_is_killed_after_a_while() {
    let rig = Rig::open();
    let job = rig.shell(
        &["-l", "walltime=1"],
        "trap '' TERM\nfor i in $(seq 100); do sleep 0.2; done\nsetsid sleep 1000",
    );
    assert_eq!(job["Exit_status"], -29);
}

#[test]
fn nothing_of_a_job_is_left() {
    let rig = Rig::open();
    rig.shell(&["-o", "out"], "sleep 1000 >/dev/null & echo $!");
    let process = rig.read("out");
    let path = format!("/proc/{}/cmdline", process.trim());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while fs_err::read_to_string(&path).is_ok_and(|line| line.contains("1000")) {
        assert!(std::time::Instant::now() < deadline, "it is still there");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_job_waits_for_its_time() {
    let rig = Rig::open();
    let id = rig.submit(&["-a", "209901011200", "ok.sh"]);
    let job = rig.state(&id, "W");
    assert_eq!(job["substate"], 30);
    let said = rig.run(&["qsub", "-a", "x", "ok.sh"]);
    assert_eq!(said.code, Some(2));
}

#[test]
fn slots_are_never_exceeded() {
    let options = FakeOptions {
        slots: 2,
        ..FakeOptions::of(Dialect::OpenPbs)
    };
    let rig = Rig::with(options);
    let first = rig.submit(&["-l", "select=1:ncpus=2", "sleep.sh"]);
    rig.state(&first, "R");
    let second = rig.submit(&["ok.sh"]);
    assert_eq!(rig.jobs()[&second]["job_state"], "Q");
    rig.run(&["qdel", &first]);
    rig.end(&second);
}
