use std::time::{Duration, SystemTime};

use reflow_core::command::{Runner, RunnerOptions};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Capabilities, Command, FailedParent, Mail, OutputPaths, Signal,
};

use super::*;

fn pbs(dialect: Dialect) -> Pbs {
    Pbs {
        runner: Runner::new(RunnerOptions::default()),
        capabilities: Capabilities {
            array_limit: Some(10_000),
            array_base: 0,
            element_wise: false,
            element_wise_any: false,
            failed_parent: FailedParent::Deleted,
            after_not_ok: true,
            not_before: true,
            concurrency_limit: true,
            element_cancel: true,
            history: None,
            submit_from_jobs: true,
            serves_indices: false,
            message_timeout: Duration::from_secs(20),
            may_stall: true,
            releases_cancelled: false,
            partitions: Vec::new(),
        },
        dialect,
        json: dialect == Dialect::OpenPbs,
        patience: Duration::from_mins(1),
        partitions: [("gpu".to_owned(), "a100".to_owned())].into(),
        extra: vec!["-p".into(), "10".into()],
        gpu_type_resource: (dialect == Dialect::OpenPbs).then(|| "gpu_model".to_owned()),
    }
}

fn request() -> JobRequest {
    JobRequest {
        tag: Tag::new("rabcdefghijklmn").expect("is a tag"),
        comment: None,
        command: Command {
            argv: vec!["/opt/reflow".into(), "worker".into(), "S1".into()],
            directory: "/scratch/run".into(),
            environment: [("A".to_owned(), "x,y\r\n'".to_owned())].into(),
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

/// One flag and its value a line.
fn show(rendered: &Rendered) -> String {
    let mut argv = String::new();
    for word in &rendered.argv {
        let is_flag = word.starts_with('-') && !argv.is_empty();
        argv.push_str(if is_flag { "\n" } else { " " });
        argv.push_str(word);
    }
    let environment: Vec<String> = rendered
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{argv}\n--- {}\n{}", environment.join(" "), rendered.stdin)
}

/// Uses everything that the dialect has.
fn full(dialect: Dialect) -> JobRequest {
    let is_torque = dialect == Dialect::Torque;
    let dependency = |job: &str, kind| Dependency {
        job: JobId::new(job).expect("is an id"),
        kind,
    };
    JobRequest {
        comment: Some("run\n\"a\" count".into()),
        array: Some(ArrayRequest {
            count: 50,
            at_most: Some(4),
        }),
        dependencies: vec![
            dependency("7.pbs", DependencyKind::Ok),
            dependency("8[].pbs", DependencyKind::Any),
            dependency("9.pbs", DependencyKind::NotOk),
            dependency("10.pbs", DependencyKind::Ok),
        ],
        resources: Resources {
            cpus: Some(4),
            mem: Some("1.5G".parse().expect("is a size")),
            time: Some("1-00:00:01".parse().expect("is a time")),
            gpus: Some(if is_torque { "2" } else { "a100:2" }.into()),
            nodes: Some(3),
            tasks: Some(8),
            partition: Some("gpu".into()),
            account: Some("proj".into()),
            qos: is_torque.then(|| "high".into()),
            constraint: Some("ib&ssd".into()),
            reservation: is_torque.then(|| "res.3".into()),
            exclusive: Some(Exclusive::Node),
            signal: None,
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
        extra: vec!["-l".into(), "scratch=10gb".into()],
        ..request()
    }
}

fn rendered(dialect: Dialect, request: &JobRequest) -> String {
    show(&render(&pbs(dialect), request).expect("is valid"))
}

#[test]
fn every_field_is_rendered() {
    insta::assert_snapshot!(rendered(Dialect::OpenPbs, &full(Dialect::OpenPbs)), @r#"
     qsub
    -N rabcdefghijklmn
    -S /bin/bash
    -J 0-49%4
    -W depend=afterok:7.pbs:10.pbs,afterany:8[].pbs,afternotok:9.pbs
    -r y
    -a 202611230133.10
    -o /scratch/100% größe/out.^array_index^
    -e /scratch/100% größe/err.^array_index^
    -l select=2:ncpus=12:mpiprocs=3:ompthreads=4:mem=1536mb:ngpus=2:gpu_model=a100:ib=true:ssd=true+1:ncpus=8:mpiprocs=2:ompthreads=4:mem=1536mb:ngpus=2:gpu_model=a100:ib=true:ssd=true
    -l place=scatter:exclhost
    -l walltime=24:00:01
    -q a100
    -A proj
    -m bea
    -M ada@example.org
    -p 10
    -l scratch=10gb
    --- TZ=UTC
    #!/bin/bash
    export REFLOW_JOB_ID="$PBS_ARRAY_ID"
    export A=$'x,y\r\n\''
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1 --index "$PBS_ARRAY_INDEX"
    "#);
}

#[test]
fn every_field_is_rendered_for_torque() {
    insta::assert_snapshot!(rendered(Dialect::Torque, &full(Dialect::Torque)), @r#"
     qsub
    -N rabcdefghijklmn
    -S /bin/bash
    -t 0-49%4
    -W depend=afterok:7.pbs:10.pbs,afteranyarray:8[].pbs,afternotok:9.pbs
    -r y
    -a 202611230133.10
    -o /scratch/100% größe/out
    -e /scratch/100% größe/err
    -l nodes=2:ppn=12:gpus=2:ib:ssd+1:ppn=8:gpus=2:ib:ssd
    -l mem=4608mb
    -l walltime=24:00:01
    -l qos=high
    -l advres=res.3
    -l naccesspolicy=singlejob
    -q a100
    -A proj
    -m bea
    -M ada@example.org
    -p 10
    -l scratch=10gb
    --- TZ=UTC
    #!/bin/bash
    export REFLOW_JOB_ID="${PBS_JOBID%%[*}[]${PBS_JOBID#*]}"
    exec >'/scratch/100% größe/out'."$PBS_ARRAYID" 2>'/scratch/100% größe/err'."$PBS_ARRAYID"
    export A=$'x,y\r\n\''
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1 --index "$PBS_ARRAYID"
    "#);
}

#[test]
fn what_is_not_set_is_left_to_pbs() {
    insta::assert_snapshot!(rendered(Dialect::OpenPbs, &request()), @r#"
     qsub
    -N rabcdefghijklmn
    -S /bin/bash
    -r n
    -o /scratch/run/out
    -j oe
    -m n
    -p 10
    --- 
    #!/bin/bash
    export REFLOW_JOB_ID="$PBS_JOBID"
    export A=$'x,y\r\n\''
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1
    "#);
}

#[test]
fn an_array_of_one_element_is_a_plain_job() {
    let mut job = request();
    job.array = Some(ArrayRequest {
        count: 1,
        at_most: Some(1),
    });
    let text = rendered(Dialect::OpenPbs, &job);
    assert!(!text.contains("-J"), "{text}");
    assert!(text.ends_with("--index \"0\"\n"), "{text}");
    assert!(text.contains("=\"$PBS_JOBID\"\n"), "{text}");
    assert!(text.contains("\n-r n\n"), "{text}");
    assert!(text.contains("\n-o /scratch/run/out.0\n"), "{text}");
}

#[test]
fn no_carriage_return_and_no_directive_reaches_the_script() {
    let mut job = request();
    job.command.argv.push("a\r\n#PBS -q short\r\n".into());
    let rendered = render(&pbs(Dialect::OpenPbs), &job).expect("is valid");
    assert!(!rendered.stdin.contains('\r'));
    assert!(!rendered.stdin.contains("\n#PBS"));
}

fn chunks(change: impl FnOnce(&mut Resources)) -> String {
    let mut resources = Resources::default();
    change(&mut resources);
    match (select::select(&resources, None), select::place(&resources)) {
        (Ok(select), Ok(place)) => {
            let shown = select.unwrap_or_else(|| "-".into());
            place.map_or(shown.clone(), |place| format!("{shown} place={place}"))
        }
        (Err(error), _) | (_, Err(error)) => error.to_string(),
    }
}

#[test]
fn nodes_tasks_and_cores_become_chunks() {
    assert_eq!(chunks(|_| {}), "-");
    assert_eq!(chunks(|r| r.cpus = Some(4)), "1:ncpus=4");
    assert_eq!(
        chunks(|r| r.mem = "1500K".parse().ok()),
        "1:mem=1500kb",
        "whole units only"
    );
    assert_eq!(chunks(|r| r.mem = "1B".parse().ok()), "1:mem=1kb");
    // Tasks alone may go anywhere; memory and GPUs are those of a node.
    assert_eq!(
        chunks(|r| r.tasks = Some(8)),
        "8:ncpus=1:mpiprocs=1:ompthreads=1"
    );
    assert_eq!(
        chunks(|r| {
            r.tasks = Some(8);
            r.cpus = Some(2);
            r.mem = "2G".parse().ok();
        }),
        "1:ncpus=16:mpiprocs=8:ompthreads=2:mem=2048mb"
    );
    assert_eq!(
        chunks(|r| {
            r.nodes = Some(2);
            r.tasks = Some(4);
            r.gpus = Some("1".into());
        }),
        "2:ncpus=2:mpiprocs=2:ompthreads=1:ngpus=1 place=scatter"
    );
    assert_eq!(
        chunks(|r| {
            r.nodes = Some(3);
            r.tasks = Some(8);
        }),
        "2:ncpus=3:mpiprocs=3:ompthreads=1+1:ncpus=2:mpiprocs=2:ompthreads=1 place=scatter"
    );
    assert_eq!(chunks(|r| r.nodes = Some(2)), "2 place=scatter");
    assert_eq!(
        chunks(|r| r.exclusive = Some(Exclusive::Node)),
        "1 place=exclhost"
    );
    assert_eq!(
        chunks(|r| r.constraint = Some("ib&arch=zen4".into())),
        "1:ib=true:arch=zen4"
    );
}

#[test]
fn what_pbs_cannot_do_is_refused_by_name() {
    let refused = |dialect, change: &dyn Fn(&mut JobRequest)| {
        let mut job = request();
        change(&mut job);
        let pbs = Pbs {
            gpu_type_resource: None,
            ..pbs(dialect)
        };
        let error = render(&pbs, &job).expect_err("is refused");
        assert_eq!(error.kind(), SchedulerErrorKind::Unsupported);
        error.to_string()
    };
    let openpbs = |change: &dyn Fn(&mut JobRequest)| refused(Dialect::OpenPbs, change);
    insta::assert_snapshot!(openpbs(&|job| job.resources.qos = Some("high".into())), @"PBS has no quality of service for `qos`: choose a `partition` (queue), or use `extra`");
    insta::assert_snapshot!(openpbs(&|job| job.resources.gpus = Some("a100:2".into())), @"PBS has no types of GPUs of its own for `gpus`: set `backend.pbs.gpu_type_resource` to the resource that holds them here, such as `gpu_model`, to ask for `a100`");
    insta::assert_snapshot!(openpbs(&|job| job.resources.exclusive = Some(Exclusive::User)), @"PBS has no nodes that are shared with jobs of the same user alone: leave `exclusive` out, or set it to `node`");
    insta::assert_snapshot!(openpbs(&|job| job.resources.constraint = Some("ib|ssd".into())), @"PBS takes features of nodes of which all must hold, such as `ib&arch=zen4`: `constraint` is `ib|ssd`");
    insta::assert_snapshot!(openpbs(&|job| {
        job.resources.partition = Some("short".into());
        job.resources.reservation = Some("R7".into());
    }), @"a reservation of PBS is a queue of its own: ask for `reservation` or `partition`, not both");
    insta::assert_snapshot!(openpbs(&|job| {
        job.resources.nodes = Some(4);
        job.resources.tasks = Some(3);
    }), @"PBS has no node without a task: `tasks` (3) is less than `nodes` (4)");
    insta::assert_snapshot!(openpbs(&|job| {
        job.resources.signal = Some(Signal {
            name: "USR1".into(),
            before: "90s".parse().expect("is a time"),
        });
    }), @"PBS sends no signal before the walltime ends: leave `signal` out");
    let torque = |change: &dyn Fn(&mut JobRequest)| refused(Dialect::Torque, change);
    insta::assert_snapshot!(torque(&|job| job.resources.gpus = Some("a100:2".into())), @"Torque has no types of GPUs for `gpus`: ask for nodes that have `a100` by `constraint`, or through `extra`");
    insta::assert_snapshot!(torque(&|job| job.resources.constraint = Some("arch=zen4".into())), @"a node of Torque has properties without values: `constraint` has `arch=zen4`");
    let mut job = request();
    job.dependencies.push(Dependency {
        job: JobId::new("88;slurm").expect("is an id"),
        kind: DependencyKind::Any,
    });
    insta::assert_snapshot!(render(&pbs(Dialect::OpenPbs), &job).expect_err("is no PBS id"), @"`88;slurm` is not the id of a PBS job");
}

#[test]
fn a_reservation_is_a_queue() {
    let mut job = request();
    job.resources.reservation = Some("R7".into());
    let text = rendered(Dialect::OpenPbs, &job);
    assert!(text.contains("\n-q R7\n"), "{text}");
}

#[test]
fn the_script_opens_files_that_pbs_would_take_for_others() {
    let with = |dialect, count: Option<u32>, path: &str| {
        let mut job = request();
        job.output.stderr = path.into();
        job.array = count.map(|count| ArrayRequest {
            count,
            at_most: None,
        });
        let rendered = render(&pbs(dialect), &job).expect("is valid");
        let argv = rendered.argv.join(" ");
        let redirection = (rendered.stdin.lines())
            .find(|line| line.starts_with("exec >"))
            .map(str::to_owned);
        (argv.contains("-o /dev/null -e /dev/null"), redirection)
    };
    for path in ["/a:b", "/a\nb", "/^array_index^"] {
        let (is_hidden, redirection) = with(Dialect::OpenPbs, Some(2), path);
        let quoted = script::quote(path);
        let expected =
            format!("exec >/scratch/run/out.\"$PBS_ARRAY_INDEX\" 2>{quoted}.\"$PBS_ARRAY_INDEX\"");
        assert_eq!((is_hidden, redirection), (true, Some(expected)), "{path}");
    }
    let (is_hidden, redirection) = with(Dialect::OpenPbs, Some(1), "/a:b");
    let expected = "exec >/scratch/run/out.0 2>/a:b.0".to_owned();
    assert_eq!((is_hidden, redirection), (true, Some(expected)));
    assert_eq!(with(Dialect::OpenPbs, None, "/a $b%"), (false, None));
    let (is_hidden, redirection) = with(Dialect::Torque, None, "/$HOME");
    let expected = "exec >/scratch/run/out 2>'/$HOME'".to_owned();
    assert_eq!((is_hidden, redirection), (true, Some(expected)));
}
