use std::path::Path;
use std::time::{Duration, SystemTime};

use reflow_core::command::{Call, Runner, RunnerOptions};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Capabilities, Command, Exclusive, FailedParent, Mail, MailEvent, OutputPaths, Resources, Signal,
};

use super::*;
use crate::dialect::Version;
use crate::memory::{Per, Units};
use crate::parse::Format;

pub(crate) fn lsf(dialect: Dialect) -> Lsf {
    Lsf {
        patience: Duration::from_mins(1),
        runner: Runner::new(RunnerOptions::default()),
        capabilities: Capabilities {
            array_limit: Some(1000),
            array_base: 1,
            element_wise: true,
            element_wise_any: true,
            failed_parent: FailedParent::PendForever,
            releases_cancelled: true,
            after_not_ok: true,
            not_before: true,
            concurrency_limit: true,
            element_cancel: true,
            history: None,
            submit_from_jobs: true,
            serves_indices: false,
            message_timeout: Duration::from_secs(20),
            may_stall: true,
            partitions: Vec::new(),
        },
        dialect,
        format: Format::Long,
        partitions: [("gpu".to_owned(), "a100".to_owned())].into(),
        extra: vec!["-G".into(), "site".into()],
        units: if dialect.has_units() {
            Units::Explicit
        } else {
            Units::DEFAULT
        },
        memory_per: Per::Host,
        history_logs: None,
        run_limit_grace: Duration::from_mins(1),
        locale: Some("de_DE.UTF-8".into()),
        time_zone: None,
    }
}

fn ibm() -> Lsf {
    lsf(Dialect::Ibm(Some(Version([10, 1, 0, 12]))))
}

fn openlava() -> Lsf {
    lsf(Dialect::OpenLava)
}

pub(crate) fn request() -> JobRequest {
    JobRequest {
        tag: Tag::new("rabcdefghijklmn").expect("is a tag"),
        comment: None,
        command: Command {
            argv: vec!["/opt/reflow".into(), "worker".into(), "S1".into()],
            directory: "/scratch/run".into(),
            environment: BTreeMap::new(),
            setup: Vec::new(),
            serves_indices: true,
        },
        array: None,
        dependencies: Vec::new(),
        resources: Resources::default(),
        not_before: None,
        output: OutputPaths {
            stdout: "/scratch/run/out".into(),
            stderr: "/scratch/run/out".into(),
        },
        requeue: false,
        extra: Vec::new(),
    }
}

fn show(rendered: &Rendered) -> String {
    let argv = rendered.argv.join("\n");
    let environment: Vec<String> = rendered
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{argv}\n--- {}\n{}", environment.join(" "), rendered.stdin)
}

fn dependency(job: &str, kind: DependencyKind) -> Dependency {
    Dependency {
        job: JobId::new(job).expect("is an id"),
        kind,
    }
}

/// Every field that IBM's LSF has.
fn full() -> JobRequest {
    JobRequest {
        comment: Some("run\n\"a\" count".into()),
        array: Some(ArrayRequest {
            count: 50,
            at_most: Some(4),
        }),
        dependencies: vec![
            dependency("7", DependencyKind::Ok),
            dependency("8", DependencyKind::Any),
            dependency("9", DependencyKind::NotOk),
            dependency("10", DependencyKind::ElementWise),
            dependency("11", DependencyKind::ElementWiseAny),
        ],
        resources: Resources {
            cpus: Some(4),
            mem: Some("1.5G".parse().expect("is a size")),
            time: Some("1-00:00:01".parse().expect("is a time")),
            gpus: Some("a100:2".into()),
            nodes: Some(2),
            tasks: Some(8),
            partition: Some("gpu".into()),
            account: Some("proj".into()),
            qos: Some("high".into()),
            constraint: Some("ib && ssd".into()),
            reservation: Some("res#1".into()),
            exclusive: Some(Exclusive::Node),
            signal: Some(Signal {
                name: "USR1".into(),
                before: "90s".parse().expect("is a time"),
            }),
            mail: Some(Mail {
                to: Some("ada@example.org".into()),
                on: vec![MailEvent::Begin, MailEvent::End, MailEvent::Fail],
            }),
        },
        not_before: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_397_589_001)),
        output: OutputPaths {
            stdout: "/scratch/100% größe/out".into(),
            stderr: "/scratch/100% größe/err".into(),
        },
        requeue: true,
        extra: vec!["-sp".into(), "10".into()],
        ..request()
    }
}

#[test]
fn every_field_is_rendered_for_ibms_lsf() {
    insta::assert_snapshot!(show(&render(&ibm(), &full()).expect("is valid")), @r#"
    bsub
    -J
    rabcdefghijklmn[1-50]%4
    -Jd
    run "a" count
    -w
    done(7) && ended(8) && exit(9) && done(10[*]) && ended(11[*])
    -ti
    -r
    -b
    2026:11:23:01:34
    -o
    /dev/null
    -q
    a100
    -P
    proj
    -sla
    high
    -U
    res#1
    -n
    32
    -M
    3072MB
    -R
    select[ib && ssd] rusage[mem=1536MB/host] span[ptile=16]
    -W
    1441
    -gpu
    num=2:j_exclusive=yes:gmodel=a100
    -x
    -wa
    USR1
    -wt
    2
    -B
    -N
    -u
    ada@example.org
    -G
    site
    -sp
    10
    --- LSB_NTRIES=1 TZ=UTC
    #!/bin/bash
    exec >>'/scratch/100% größe/out'."$((LSB_JOBINDEX - 1))" 2>>'/scratch/100% größe/err'."$((LSB_JOBINDEX - 1))" || exit 1
    export REFLOW_JOB_ID="$LSB_JOBID"
    unset LSB_NTRIES
    export LC_ALL=de_DE.UTF-8
    unset TZ
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1 --index "$((LSB_JOBINDEX - 1))"
    "#);
}

#[test]
fn every_field_that_openlava_has_is_rendered() {
    let mut job = full();
    job.resources.gpus = None;
    job.resources.qos = None;
    job.resources.reservation = None;
    job.resources.signal = None;
    let shown = show(&render(&openlava(), &job).expect("is valid"));
    let (shown, guard) = shown.split_once("( (").expect("has a guard");
    insta::assert_snapshot!(shown, @r#"
    bsub
    -J
    rabcdefghijklmn[1-50]%4
    -w
    done(7) && ended(8) && exit(9) && done(10[*]) && ended(11[*])
    -r
    -b
    11:23:01:34
    -o
    /dev/null
    -q
    a100
    -P
    proj
    -n
    32
    -M
    3145728
    -R
    select[ib && ssd] rusage[mem=1536] span[ptile=16]
    -W
    1441
    -x
    -B
    -N
    -u
    ada@example.org
    -G
    site
    -sp
    10
    --- LSB_NTRIES=1 TZ=UTC
    #!/bin/bash
    exec >>'/scratch/100% größe/out'."$((LSB_JOBINDEX - 1))" 2>>'/scratch/100% größe/err'."$((LSB_JOBINDEX - 1))" || exit 1
    export REFLOW_JOB_ID="$LSB_JOBID"
    unset LSB_NTRIES
    export LC_ALL=de_DE.UTF-8
    unset TZ
    "#);
    // The run limit and a minute more, in steps of two seconds.
    assert!(guard.contains(&format!("reflow_step < {};", (1441 + 1) * 60 / 2)));
}

#[test]
fn what_is_not_set_is_left_to_lsf() {
    insta::assert_snapshot!(show(&render(&ibm(), &request()).expect("is valid")), @r#"
    bsub
    -J
    rabcdefghijklmn
    -rn
    -o
    /dev/null
    -G
    site
    --- LSB_NTRIES=1
    #!/bin/bash
    exec >>/scratch/run/out 2>&1 || exit 1
    export REFLOW_JOB_ID="$LSB_JOBID"
    unset LSB_NTRIES
    export LC_ALL=de_DE.UTF-8
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1
    "#);
    // openlava would read `-rn` as `-r -n`.
    let argv = render(&openlava(), &request()).expect("is valid").argv;
    let expected = [
        "bsub",
        "-J",
        "rabcdefghijklmn",
        "-o",
        "/dev/null",
        "-G",
        "site",
    ];
    assert_eq!(argv, expected);
}

#[test]
fn rendering_is_pure() {
    assert_eq!(
        render(&ibm(), &full()).expect("is valid"),
        render(&ibm(), &full()).expect("is valid")
    );
}

/// The words after `flag` in the command line for these resources.
fn flag(lsf: &Lsf, flag: &str, resources: Resources) -> Option<String> {
    let job = JobRequest {
        resources,
        ..request()
    };
    let argv = render(lsf, &job).expect("is valid").argv;
    let place = argv.iter().position(|word| word == flag)?;
    argv.get(place + 1).cloned()
}

#[test]
fn one_string_of_requirements_says_where_and_how_much() {
    let on = |cpus, tasks, nodes| Resources {
        cpus,
        tasks,
        nodes,
        ..Resources::default()
    };
    for (resources, slots, span) in [
        (on(Some(4), None, None), "4", "span[hosts=1]"),
        (on(Some(4), Some(3), None), "12", "span[hosts=1]"),
        (on(None, None, Some(1)), "1", "span[hosts=1]"),
        (on(Some(4), None, Some(3)), "12", "span[ptile=4]"),
        (on(Some(2), Some(6), Some(3)), "12", "span[ptile=4]"),
    ] {
        assert_eq!(
            flag(&ibm(), "-n", resources.clone()).as_deref(),
            Some(slots)
        );
        assert_eq!(flag(&ibm(), "-R", resources).as_deref(), Some(span));
    }
}

#[test]
fn memory_is_reserved_by_what_the_site_counts_by() {
    let resources = Resources {
        cpus: Some(3),
        nodes: Some(2),
        mem: Some("1000M".parse().expect("is a size")),
        ..Resources::default()
    };
    for (per, expected) in [(Per::Host, 1000), (Per::Slot, 334), (Per::Job, 2000)] {
        let site = Lsf {
            memory_per: per,
            ..openlava()
        };
        let expected = format!("rusage[mem={expected}] span[ptile=3]");
        assert_eq!(flag(&site, "-R", resources.clone()), Some(expected));
        // Of all nodes together, in KB.
        let limit = Some((2 * 1000 * 1024).to_string());
        assert_eq!(flag(&site, "-M", resources.clone()), limit);
    }
    // A fix pack that can say so does, whatever the site counts by.
    let site = Lsf {
        memory_per: Per::Slot,
        ..ibm()
    };
    let expected = "rusage[mem=1000MB/host] span[ptile=3]".to_owned();
    assert_eq!(flag(&site, "-R", resources), Some(expected));
}

#[test]
fn minutes_are_rounded_up() {
    for (time, minutes) in [("1s", "1"), ("60s", "1"), ("61s", "2"), ("36h", "2160")] {
        let resources = Resources {
            time: Some(time.parse().expect("is a time")),
            ..Resources::default()
        };
        assert_eq!(flag(&ibm(), "-W", resources).as_deref(), Some(minutes));
    }
}

#[test]
fn an_array_of_one_is_an_array() {
    let mut job = request();
    job.array = Some(ArrayRequest {
        count: 1,
        at_most: None,
    });
    let argv = render(&openlava(), &job).expect("is valid").argv;
    assert_eq!(argv[2], "rabcdefghijklmn[1]");
}

#[test]
fn conditions_follow_what_is_known_of_the_parents() {
    let condition = |dependencies: &[Dependency], parents: &Parents<'_>| {
        super::dependencies(dependencies, parents).map_err(|error| error.kind())
    };
    let parents: Parents<'_> = [
        ("7", Parent::Plain),
        ("8", Parent::Array),
        ("9", Parent::Gone),
    ]
    .into();
    for (job, kind, expected) in [
        ("7", DependencyKind::Any, Ok(Some("ended(7)"))),
        ("7", DependencyKind::NotOk, Ok(Some("exit(7)"))),
        ("8", DependencyKind::NotOk, Ok(Some("numexit(8, > 0)"))),
        ("9", DependencyKind::Any, Ok(None)),
        ("9", DependencyKind::ElementWiseAny, Ok(None)),
        ("9", DependencyKind::Ok, Err(SchedulerErrorKind::Rejected)),
        (
            "9",
            DependencyKind::NotOk,
            Err(SchedulerErrorKind::Rejected),
        ),
        (
            "9",
            DependencyKind::ElementWise,
            Err(SchedulerErrorKind::Rejected),
        ),
        (
            "x.pbs",
            DependencyKind::Any,
            Err(SchedulerErrorKind::InvalidRequest),
        ),
    ] {
        let found = condition(&[dependency(job, kind)], &parents);
        assert_eq!(
            found,
            expected.map(|term| term.map(str::to_owned)),
            "{job} {kind:?}"
        );
    }
}

#[test]
fn what_lsf_cannot_do_is_refused_by_name() {
    let refused = |lsf: &Lsf, change: fn(&mut Resources)| {
        let mut job = request();
        change(&mut job.resources);
        let error = render(lsf, &job).expect_err("is refused");
        assert_eq!(error.kind(), SchedulerErrorKind::Unsupported);
        error.to_string()
    };
    insta::assert_snapshot!(refused(&ibm(), |r| r.exclusive = Some(Exclusive::User)), @"this LSF does not have `exclusive`: LSF shares a node with nobody or with everybody: use `node`, or leave it out");
    insta::assert_snapshot!(refused(&ibm(), |r| (r.tasks, r.nodes) = (Some(5), Some(4))), @"5 `tasks` on 4 `nodes`: LSF places the same number on each node, so `tasks` must be a multiple of `nodes`");
    let old = lsf(Dialect::Ibm(Some(Version([10, 1, 0, 0]))));
    insta::assert_snapshot!(refused(&old, |r| r.gpus = Some("2".into())), @"this LSF does not have `gpus`: `-gpu` with a model came with fix pack 6 of LSF 10.1: ask for them with `constraint` or `extra`, as your site has them");
    let lava = openlava();
    insta::assert_snapshot!(refused(&lava, |r| r.gpus = Some("2".into())), @"this LSF does not have `gpus`: it has no GPUs (`-gpu`): ask for them with `constraint` or `extra`, as your site has them");
    insta::assert_snapshot!(refused(&lava, |r| r.qos = Some("high".into())), @"this LSF does not have `qos`: it has no service classes (`-sla`): leave it out");
    insta::assert_snapshot!(refused(&lava, |r| r.reservation = Some("res".into())), @"this LSF does not have `reservation`: it has no advance reservations (`-U`): leave it out");
    insta::assert_snapshot!(refused(&lava, |r| r.signal = Some(Signal { name: "USR1".into(), before: "90s".parse().expect("is a time") })), @"this LSF does not have `signal`: it sends no signal before the run limit (`-wa`, `-wt`): leave it out");
    insta::assert_snapshot!(refused(&lava, |r| r.mail = Some(Mail { to: None, on: vec![MailEvent::Fail] })), @"this LSF does not have `mail`: it sends mail at every end or at none: use `end` in place of `fail`");
    let mut job = request();
    job.resources.constraint = Some("ib] rusage[mem=1".into());
    let error = render(&ibm(), &job).expect_err("has a bracket");
    assert_eq!(error.kind(), SchedulerErrorKind::InvalidRequest);
}

#[test]
fn mail_on_failures_alone_is_ibms() {
    let mut job = request();
    job.resources.mail = Some(Mail {
        to: None,
        on: vec![MailEvent::Fail],
    });
    let argv = render(&ibm(), &job).expect("is valid").argv;
    assert!(argv.contains(&"-Ne".to_owned()) && !argv.contains(&"-N".to_owned()));
}

#[test]
fn no_line_of_the_script_is_a_directive() {
    let mut job = request();
    job.command.setup = vec!["#BSUB -q other\necho a\n#BSUB -n 4".into()];
    job.command.argv.push("a\n#BSUB -x".into());
    job.command
        .environment
        .insert("NAME".into(), "b\n#BSUB -x".into());
    let script = render(&openlava(), &job).expect("is valid").stdin;
    assert!(
        !script.lines().any(|line| line.starts_with("#BSUB")),
        "{script}"
    );
}

async fn run(script: &str, variables: &[(&str, &str)]) -> bool {
    let mut call = Call::new(["bash", "-s"]);
    call.stdin = script.as_bytes().to_vec();
    call.environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let runner = Runner::new(RunnerOptions {
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        ..RunnerOptions::default()
    });
    runner.run(&call).await.expect("bash runs").success()
}

fn read(path: &Path) -> String {
    fs_err::read_to_string(path).expect("was written")
}

#[tokio::test]
async fn the_output_of_an_element_is_in_its_own_file_counted_from_0() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let out = directory.path().join("o %J 'x' $y");
    let mut job = request();
    job.command.argv = [
        "bash",
        "-c",
        "echo \"$REFLOW_JOB_ID $LC_ALL ${LSB_NTRIES-none} $*\"; echo e >&2",
        "x",
    ]
    .map(str::to_owned)
    .to_vec();
    job.command.directory = "/".into();
    job.output.stdout = out.clone();
    job.output.stderr = directory.path().join("e");
    job.array = Some(ArrayRequest {
        count: 3,
        at_most: None,
    });
    let site = Lsf {
        locale: Some("C.UTF-8".into()),
        ..openlava()
    };
    let script = render(&site, &job).expect("is valid").stdin;
    let variables = [
        ("LSB_JOBID", "43"),
        ("LSB_JOBINDEX", "3"),
        ("LSB_NTRIES", "1"),
    ];
    assert!(run(&script, &variables).await);
    let out = format!("{}.2", out.display());
    assert_eq!(read(Path::new(&out)), "43 C.UTF-8 none --index 2\n");
    assert_eq!(read(&directory.path().join("e.2")), "e\n");
}

#[tokio::test]
async fn a_directory_for_output_that_is_missing_is_the_failure_of_the_job() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut job = request();
    let ran = directory.path().join("ran");
    job.command.argv = vec!["touch".into(), ran.display().to_string()];
    job.command.directory = "/".into();
    job.output.stdout = directory.path().join("nowhere/out");
    let script = render(&openlava(), &job).expect("is valid").stdin;
    assert!(!run(&script, &[("LSB_JOBID", "43")]).await);
    assert!(!ran.exists());
}
