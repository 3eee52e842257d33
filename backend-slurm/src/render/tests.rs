use std::time::{Duration, SystemTime};

use reflow_core::command::{Runner, RunnerOptions};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Capabilities, Command, FailedParent, Mail, OutputPaths, Signal,
};

use super::*;

fn slurm() -> Slurm {
    Slurm {
        patience: Duration::from_mins(1),
        runner: Runner::new(RunnerOptions::default()),
        capabilities: Capabilities {
            array_limit: Some(1001),
            array_base: 0,
            element_wise: true,
            element_wise_any: false,
            failed_parent: FailedParent::Cancelled,
            releases_cancelled: true,
            after_not_ok: true,
            not_before: true,
            concurrency_limit: true,
            element_cancel: true,
            history: None,
            submit_from_jobs: true,
            serves_indices: false,
            message_timeout: Duration::from_secs(20),
            may_stall: false,
            partitions: Vec::new(),
        },
        accounting: true,
        partitions: [("gpu".to_owned(), "a100".to_owned())].into(),
        extra: vec!["--wckey=site".into()],
        cluster: None,
        history_days: 30,
        locale: Some("de_DE.UTF-8".into()),
        time_zone: None,
    }
}

fn request() -> JobRequest {
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

fn full() -> JobRequest {
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
            dependency("7", DependencyKind::Ok),
            dependency("8;rig", DependencyKind::Any),
            dependency("9", DependencyKind::NotOk),
            dependency("10", DependencyKind::ElementWise),
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
            constraint: Some("ib&ssd".into()),
            reservation: Some("res".into()),
            exclusive: Some(Exclusive::User),
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
        extra: vec!["--nice=10".into()],
        ..request()
    }
}

#[test]
fn every_field_is_rendered() {
    insta::assert_snapshot!(show(&render(&slurm(), &full()).expect("is valid")), @r#"
    sbatch
    --parsable
    --job-name=rabcdefghijklmn
    --comment=run "a" count
    --array=0-49%4
    --dependency=afterok:7,afterany:8,afternotok:9,aftercorr:10
    --kill-on-invalid-dep=yes
    --requeue
    --begin=2026-11-23T01:33:10
    --chdir=/scratch/run
    --output=/scratch/100%% größe/out.%a
    --error=/scratch/100%% größe/err.%a
    --open-mode=append
    --nodes=2
    --ntasks=8
    --cpus-per-task=4
    --mem=1536M
    --time=24:00:01
    --gres=gpu:a100:2
    --partition=a100
    --account=proj
    --qos=high
    --constraint=ib&ssd
    --reservation=res
    --exclusive=user
    --signal=B:USR1@90
    --mail-type=BEGIN,END,FAIL
    --mail-user=ada@example.org
    --wckey=site
    --nice=10
    --- TZ=UTC
    #!/bin/bash
    export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
    export LC_ALL=de_DE.UTF-8
    unset TZ
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1 --index "$SLURM_ARRAY_TASK_ID"
    "#);
}

#[test]
fn what_is_not_set_is_left_to_slurm() {
    insta::assert_snapshot!(show(&render(&slurm(), &request()).expect("is valid")), @r#"
    sbatch
    --parsable
    --job-name=rabcdefghijklmn
    --kill-on-invalid-dep=yes
    --no-requeue
    --chdir=/scratch/run
    --output=/scratch/run/out
    --open-mode=append
    --wckey=site
    --- 
    #!/bin/bash
    export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
    export LC_ALL=de_DE.UTF-8
    cd -- /scratch/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
    exec -- /opt/reflow worker S1
    "#);
}

#[test]
fn rendering_is_pure() {
    assert_eq!(
        render(&slurm(), &full()).expect("is valid"),
        render(&slurm(), &full()).expect("is valid")
    );
}

#[test]
fn what_slurm_cannot_do_is_refused_by_name() {
    let mut job = request();
    job.output.stderr = "/scratch/a\\b".into();
    let error = render(&slurm(), &job).expect_err("has a backslash");
    assert_eq!(error.kind(), SchedulerErrorKind::Unsupported);
    insta::assert_snapshot!(error, @r"Slurm cannot write output to a path with a backslash: `/scratch/a\b`");
    let mut job = request();
    job.dependencies.push(Dependency {
        job: JobId::new("88.pbs").expect("is an id"),
        kind: DependencyKind::Any,
    });
    insta::assert_snapshot!(render(&slurm(), &job).expect_err("is no Slurm id"), @"`88.pbs` is not the id of a Slurm job");
}
