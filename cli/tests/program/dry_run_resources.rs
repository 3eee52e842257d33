//! `submit --dry-run` of a workflow that asks for everything, on every batch system.

use std::fmt::Write;

use insta::assert_snapshot;
use serde_json::Value;

use crate::dry_run::{dry_run, filtered};
use crate::support::{Sandbox, System};

/// Every resource, as it is written in `reflow.toml`.
const FIELDS: [(&str, &str); 16] = [
    ("cpus", "4"),
    ("mem", "'1500M'"),
    ("time", "'01:30:30'"),
    ("gpus", "2"),
    ("gpus of a type", "'a100:2'"),
    ("nodes", "2"),
    ("tasks", "8"),
    ("partition", "'gpu'"),
    ("account", "'lab'"),
    ("qos", "'high'"),
    ("constraint", "'bigmem'"),
    ("reservation", "'course'"),
    ("exclusive", "'node'"),
    ("exclusive of a user", "'user'"),
    ("signal", "{ name = 'USR1', before = '00:05:00' }"),
    ("mail", "{ to = 'ada@example.org', on = ['begin', 'fail'] }"),
];

/// What each batch system does not have: OpenPBS by its user's guide (a reservation is a queue, there is no
/// quality of service), the others by their own.
fn refused(system: System) -> &'static [&'static str] {
    match system {
        System::Slurm => &[],
        System::OpenPbs => &["gpus of a type", "qos", "exclusive of a user", "signal"],
        System::Torque => &["gpus of a type", "signal"],
        System::Lsf => &["exclusive of a user"],
        System::OpenLava => &[
            "gpus",
            "gpus of a type",
            "qos",
            "reservation",
            "exclusive of a user",
            "signal",
            "mail",
        ],
    }
}

/// Returns a workflow of which one task asks for `fields`, and another comes after it.
fn workflow(fields: &[(&str, &str)]) -> String {
    let mut text = "[workflow]\nname = \"all\"\n[tasks.all]\nshell = \"true\"\n".to_owned();
    for (name, value) in fields {
        let key = key(name);
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push_str("[tasks.next]\nshell = \"true\"\nafter = [\"all\"]\n");
    text
}

fn key(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn sandbox(system: System) -> Sandbox {
    let sandbox = Sandbox::new().with_programs(system);
    let backend = system.backend();
    sandbox.configure(
        backend,
        &format!("extra = ['-a-flag-of-the-site']\n[backend.{backend}.partitions]\ngpu = 'a100'\n[backend.{backend}.dispatch]\nqueue = 'short'"),
    );
    sandbox
}

#[test]
fn what_a_batch_system_does_not_have_is_refused_by_name_with_what_to_do() {
    for system in System::ALL {
        let sandbox = sandbox(system);
        let mut text = "[workflow]\nname = \"each\"\n".to_owned();
        for (name, value) in FIELDS {
            let (task, key) = (name.replace(' ', "_"), key(name));
            let _ = writeln!(text, "[tasks.{task}]\nshell = \"true\"\n{key} = {value}");
        }
        sandbox.write("wordcount/reflow.toml", &text);
        let mut command = dry_run(&sandbox, system.backend(), &["--json"]);
        let outcome = sandbox.outcome(&mut command);
        if refused(system).is_empty() {
            assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
            continue;
        }
        assert_eq!(outcome.code, Some(2), "{}", outcome.shown());
        let error = &outcome.json()["error"];
        let backend = format!("the backend `{}` does not take", system.backend());
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|it| it.contains(&backend))
        );
        let details: Vec<&str> = error["details"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let expected = refused(system);
        assert_eq!(details.len(), expected.len(), "{system:?}: {details:?}");
        for (detail, field) in details.iter().zip(expected) {
            let task = format!("task `{}`: ", field.replace(' ', "_"));
            let words = detail.strip_prefix(&task);
            let words = words.unwrap_or_else(|| panic!("{system:?}: {task} in {detail}"));
            assert!(
                words.contains(&format!("`{}", key(field))),
                "{system:?}: {detail}"
            );
            let advises = ["leave ", "use `", "ask for", "choose ", "set `"];
            assert!(
                advises.iter().any(|advice| words.contains(advice)),
                "{system:?} does not say what to do: {detail}"
            );
        }
    }
}

/// Shows what is sent of a workflow that asks for all that the batch system has, and checks that nothing is.
fn shown(system: System, leave_out: &[&str]) -> String {
    let sandbox = sandbox(system);
    let fields: Vec<(&str, &str)> = FIELDS
        .into_iter()
        .filter(|(name, _)| !refused(system).contains(name) && !leave_out.contains(name))
        .collect();
    sandbox.write("wordcount/reflow.toml", &workflow(&fields));
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, system.backend(), &[]));
    let asked = fs_err::read_to_string(sandbox.path().join("asked")).expect("the stand-ins ran");
    for line in asked.lines() {
        assert!(system.is_question(line), "sent: {line}");
    }
    outcome.shown()
}

/// GPUs are asked for with their type, and nodes are not shared, where that can be said.
const SIMPLER: [&str; 2] = ["gpus", "exclusive of a user"];

#[test]
fn everything_on_slurm() {
    let shown = shown(System::Slurm, &SIMPLER);
    filtered(|| {
        assert_snapshot!(shown, @r#"
    exit 0
    --- stdout
    nothing is submitted, and nothing is written
      all would go to slurm, in [DIR]/a/run

    1. all
      sbatch --parsable --job-name=[tTAG] '--comment=all-[ID] all' --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append --nodes=2 --ntasks=8 --cpus-per-task=4 --mem=1500M --time=01:30:30 --gres=gpu:a100:2 --partition=a100 --account=lab --qos=high --constraint=bigmem --reservation=course --exclusive --signal=B:USR1@300 --mail-type=BEGIN,FAIL --mail-user=ada@example.org -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    2. next: after the success of 1 (all)
      sbatch --parsable --job-name=[tTAG] '--comment=all-[ID] next' --dependency=afterok:1 --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    3. dispatch (plans again): after the end of 2 (next)
      sbatch --parsable --job-name=[dTAG] '--comment=all-[ID] dispatch' --dependency=afterany:2 --kill-on-invalid-dep=yes --requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[dTAG]/job --open-mode=append --partition=short -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

    4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
      sbatch --parsable --job-name=[gTAG] '--comment=all-[ID] guard' --dependency=afternotok:3 --kill-on-invalid-dep=yes --requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[gTAG]/job --open-mode=append --partition=short -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

    5. watch (looks from time to time)
      TZ=UTC sbatch --parsable --job-name=[wTAG] '--comment=all-[ID] watch' --kill-on-invalid-dep=yes --requeue --begin=[TIME] --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[wTAG]/job --open-mode=append --partition=short -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
      | unset LC_ALL
      | unset TZ
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

    cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now
    ids: 1 to 5 stand for those that slurm will give; the names of jobs change with the id of the run
    "#);
    });
}

#[test]
fn everything_on_open_pbs() {
    // A reservation is a queue of its own: it and a partition are not asked for together.
    let shown = shown(System::OpenPbs, &["reservation"]);
    filtered(|| {
        assert_snapshot!(shown, @r#"
    exit 0
    --- stdout
    nothing is submitted, and nothing is written
      all would go to pbs, in [DIR]/a/run

    1. all
      qsub -N [tTAG] -S /bin/bash -r n -o [DIR]/a/run/.reflow/logs/[tTAG]/job -j oe -l select=2:ncpus=16:mpiprocs=4:ompthreads=4:mem=1500mb:ngpus=2:bigmem=true -l place=scatter:exclhost -l walltime=01:30:30 -q a100 -A lab -m ba -M ada@example.org -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    2. next: after the end of 1 (all)
      qsub -N [tTAG] -S /bin/bash -W depend=afterany:1 -r n -o [DIR]/a/run/.reflow/logs/[tTAG]/job -j oe -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    3. dispatch (plans again): after the end of 2 (next)
      qsub -N [dTAG] -S /bin/bash -W depend=afterany:2 -r y -o [DIR]/a/run/.reflow/logs/[dTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

    4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
      qsub -N [gTAG] -S /bin/bash -W depend=afternotok:3 -r y -o [DIR]/a/run/.reflow/logs/[gTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

    5. watch (looks from time to time)
      TZ=UTC qsub -N [wTAG] -S /bin/bash -r y -a [TIME] -o [DIR]/a/run/.reflow/logs/[wTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

    cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now
    ids: 1 to 5 stand for those that pbs will give; the names of jobs change with the id of the run
    "#);
    });
}

#[test]
fn everything_on_torque() {
    let shown = shown(System::Torque, &["exclusive of a user"]);
    filtered(|| {
        assert_snapshot!(shown, @r#"
    exit 0
    --- stdout
    nothing is submitted, and nothing is written
      all would go to pbs, in [DIR]/a/run

    1. all
      qsub -N [tTAG] -S /bin/bash -r n -o [DIR]/a/run/.reflow/logs/[tTAG]/job -j oe -l nodes=2:ppn=16:gpus=2:bigmem -l mem=3000mb -l walltime=01:30:30 -l qos=high -l advres=course -l naccesspolicy=singlejob -q a100 -A lab -m ba -M ada@example.org -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    2. next: after the end of 1 (all)
      qsub -N [tTAG] -S /bin/bash -W depend=afterany:1 -r n -o [DIR]/a/run/.reflow/logs/[tTAG]/job -j oe -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    3. dispatch (plans again): after the end of 2 (next)
      qsub -N [dTAG] -S /bin/bash -W depend=afterany:2 -r y -o [DIR]/a/run/.reflow/logs/[dTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

    4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
      qsub -N [gTAG] -S /bin/bash -W depend=afternotok:3 -r y -o [DIR]/a/run/.reflow/logs/[gTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

    5. watch (looks from time to time)
      TZ=UTC qsub -N [wTAG] -S /bin/bash -r y -a [TIME] -o [DIR]/a/run/.reflow/logs/[wTAG]/job -j oe -q short -m n -a-flag-of-the-site
      | #!/bin/bash
      | export REFLOW_JOB_ID="$PBS_JOBID"
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

    cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now
    ids: 1 to 5 stand for those that pbs will give; the names of jobs change with the id of the run
    "#);
    });
}

#[test]
fn everything_on_lsf() {
    let shown = shown(System::Lsf, &["gpus"]);
    filtered(|| {
        assert_snapshot!(shown, @r#"
    exit 0
    --- stdout
    nothing is submitted, and nothing is written
      all would go to lsf, in [DIR]/a/run

    1. all
      LSB_NTRIES=1 bsub -J [tTAG] -Jd 'all-[ID] all' -rn -o /dev/null -q a100 -P lab -sla high -U course -n 32 -M 3000MB -R 'select[bigmem] rusage[mem=1500MB/host] span[ptile=16]' -W 91 -gpu num=2:j_exclusive=yes:gmodel=a100 -x -wa USR1 -wt 5 -B -Ne -u ada@example.org -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[tTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    2. next: after the success of 1 (all)
      LSB_NTRIES=1 bsub -J [tTAG] -Jd 'all-[ID] next' -w 'done(1)' -ti -rn -o /dev/null -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[tTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    3. dispatch (plans again): after the end of 2 (next)
      LSB_NTRIES=1 bsub -J [dTAG] -Jd 'all-[ID] dispatch' -w 'ended(2)' -r -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[dTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

    4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
      LSB_NTRIES=1 bsub -J [gTAG] -Jd 'all-[ID] guard' -w 'exit(3)' -ti -r -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[gTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

    5. watch (looks from time to time)
      LSB_NTRIES=1 TZ=UTC bsub -J [wTAG] -Jd 'all-[ID] watch' -r -b [TIME] -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[wTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | unset TZ
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

    cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now
    ids: 1 to 5 stand for those that lsf will give; the names of jobs change with the id of the run
    "#);
    });
}

#[test]
fn everything_on_openlava() {
    let shown = shown(System::OpenLava, &[]);
    filtered(|| {
        assert_snapshot!(shown, @r#"
    exit 0
    --- stdout
    nothing is submitted, and nothing is written
      all would go to lsf, in [DIR]/a/run

    1. all
      LSB_NTRIES=1 bsub -J [tTAG] -o /dev/null -q a100 -P lab -n 32 -M 3072000 -R 'select[bigmem] rusage[mem=1500] span[ptile=16]' -W 91 -x -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[tTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | ( (
      | trap '' USR2
      | exec </dev/null >/dev/null 2>&1 {reflow_clock}<> <(:)
      | for ((reflow_step = 0; reflow_step < 2760; reflow_step++)); do
      | kill -0 $$ || exit
      | read -r -t 2 -u "$reflow_clock"
      | done
      | reflow_stat=$(</proc/$$/stat) || exit
      | read -r _ reflow_parent reflow_group _ <<<"${reflow_stat##*) }"
      | case $reflow_group in $$ | "$reflow_parent") kill -KILL -- -"$reflow_group" ;; esac
      | kill -KILL $$
      | ) & )
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    2. next: after the end of 1 (all)
      LSB_NTRIES=1 bsub -J [tTAG] -w 'ended(1)' -o /dev/null -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[tTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

    3. dispatch (plans again): after the end of 2 (next)
      LSB_NTRIES=1 bsub -J [dTAG] -w 'ended(2)' -r -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[dTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

    4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
      LSB_NTRIES=1 bsub -J [gTAG] -w 'exit(3)' -r -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[gTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

    5. watch (looks from time to time)
      LSB_NTRIES=1 TZ=UTC bsub -J [wTAG] -r -b [TIME] -o /dev/null -q short -a-flag-of-the-site
      | #!/bin/bash
      | exec >>[DIR]/a/run/.reflow/logs/[wTAG]/job 2>&1 || exit 1
      | export REFLOW_JOB_ID="$LSB_JOBID"
      | unset LSB_NTRIES
      | unset LC_ALL
      | unset TZ
      | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
      | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

    cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now
    ids: 1 to 5 stand for those that lsf will give; the names of jobs change with the id of the run
    "#);
    });
}
