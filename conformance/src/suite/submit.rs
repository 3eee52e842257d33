use std::time::{Duration, SystemTime};

use reflow_core::scheduler::{EndReason, JobRequest, SchedulerErrorKind};

use crate::case::{case, ensure, ensure_eq};
use crate::setup::MARK;
use crate::{Case, Failure, Need, Outcome, Site};

const NOT_BEFORE: Need = Need {
    holds: |setup| setup.scheduler.capabilities().not_before,
    otherwise: "needs a start time for jobs",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "S3", Need::NOTHING, a_job_runs_to_its_end),
    case!(Site, "S3", Need::NOTHING, output_goes_to_the_given_files),
    case!(Site, "S3", Need::NOTHING, one_file_takes_both_outputs),
    case!(
        Site,
        "R3",
        Need::NOTHING,
        output_paths_keep_their_characters
    ),
    case!(Site, "S3", Need::NOTHING, the_working_directory_is_kept),
    case!(
        Site,
        "S3",
        Need::NOTHING,
        a_missing_working_directory_fails_the_job
    ),
    case!(Site, "R3", Need::NOTHING, a_remark_is_only_a_remark),
    case!(Site, "R3", Need::NOTHING, arguments_arrive_unchanged),
    case!(Site, "S3", Need::NOTHING, the_environment_arrives_unchanged),
    case!(
        Site,
        "S3",
        Need::NOTHING,
        nothing_of_the_submitters_session_is_seen
    ),
    case!(Site, "S3", Need::NOTHING, setup_lines_run_first),
    case!(
        Site,
        "S3",
        Need::NOTHING,
        a_failing_setup_line_fails_the_job
    ),
    case!(Site, "S8", Need::NOTHING, a_job_knows_its_id),
    case!(
        Site,
        "S8",
        Need::NOTHING,
        an_element_knows_the_id_of_its_array
    ),
    case!(Site, "S3", NOT_BEFORE, a_job_does_not_start_before_its_time),
];

const NASTY: &[&str] = &[
    "two words",
    "it's \"quoted\"",
    "$HOME `id` $(id) ${x}",
    "a;b|c&d<e>f",
    "*?[a-z]{1,2}~!#",
    "back\\slash\\n",
    "line one\nline two\r\n\ttab",
    "größe ☃ 日本",
    "",
    "--index",
    "%a %% %j",
    "#SBATCH --partition=nope\n#SBATCH -t bogus",
];

async fn a_job_runs_to_its_end(site: &Site) -> Outcome {
    site.succeed(&site.shell("a", "touch ran")).await?;
    ensure!(site.has("ran"), "the command did not run");
    Ok(())
}

async fn output_goes_to_the_given_files(site: &Site) -> Outcome {
    site.succeed(&site.shell("a", "echo out; echo err >&2"))
        .await?;
    ensure_eq!(site.file("a.out").await?, "out\n");
    ensure_eq!(site.file("a.err").await?, "err\n");
    Ok(())
}

async fn one_file_takes_both_outputs(site: &Site) -> Outcome {
    let mut job = site.shell("a", "echo out; echo err >&2");
    job.output.stderr = job.output.stdout.clone();
    site.succeed(&job).await?;
    ensure_eq!(site.file("a.out").await?, "out\nerr\n");
    Ok(())
}

/// Parts of paths that careless quoting or a pattern of a batch system changes.
const NASTY_NAMES: &[&str] = &[
    "100% %j %A %a größe's; &",
    "\"a:b\", host:c, ^array_index^ ~ #",
    "$HOME $(touch gone) `touch gone` *?[x]{1,2} (y) | <z> !",
    "line one\nline two\ttab",
    "back\\slash",
];

/// Fails unless a job with nasty paths keeps them, or the backend refuses such a path in so many words.
async fn keeps_paths(site: &Site, name: &str, job: &mut JobRequest) -> Result<bool, Failure> {
    job.comment = None;
    match site.try_submit(job).await {
        Ok(id) => {
            site.succeeded(&id).await?;
            Ok(true)
        }
        Err(error) if error.error.kind() == SchedulerErrorKind::Unsupported => {
            let text = error.to_string();
            ensure!(
                text.contains("path") || text.contains("directory"),
                "{name:?}: {text}"
            );
            Ok(false)
        }
        Err(error) => Err(Failure::new(format!("{name:?}: {error}"))),
    }
}

async fn output_paths_keep_their_characters(site: &Site) -> Outcome {
    let mut kept = 0;
    for (number, name) in NASTY_NAMES.iter().enumerate() {
        fs_err::create_dir(site.path().join(name))?;
        let stem = format!("{name}/{name}");
        let mut job = site.shell(&stem, "echo out; echo err >&2");
        if number == 0 {
            job = site.array(&stem, 2, "echo out; echo err >&2");
        }
        if !keeps_paths(site, name, &mut job).await? {
            continue;
        }
        kept += 1;
        let suffixes = if number == 0 {
            &[".0", ".1"][..]
        } else {
            &[""]
        };
        for suffix in suffixes {
            ensure_eq!(site.file(&format!("{stem}.out{suffix}")).await?, "out\n");
            ensure_eq!(site.file(&format!("{stem}.err{suffix}")).await?, "err\n");
        }
    }
    ensure!(
        kept > 1,
        "only {kept} of {} paths are taken",
        NASTY_NAMES.len()
    );
    ensure!(!site.has("gone"), "a part of a path was run");
    Ok(())
}

async fn the_working_directory_is_kept(site: &Site) -> Outcome {
    let mut kept = 0;
    for name in NASTY_NAMES {
        fs_err::create_dir(site.path().join(name))?;
        let mut job = site.shell("a", "pwd > here");
        job.command.directory = site.path().join(name);
        if !keeps_paths(site, name, &mut job).await? {
            continue;
        }
        kept += 1;
        let expected = format!("{}\n", job.command.directory.display());
        ensure_eq!(site.file(&format!("{name}/here")).await?, expected);
    }
    ensure!(
        kept > 1,
        "only {kept} of {} paths are taken",
        NASTY_NAMES.len()
    );
    ensure!(!site.has("gone"), "a part of a path was run");
    Ok(())
}

async fn a_remark_is_only_a_remark(site: &Site) -> Outcome {
    let mut job = site.shell("a", "touch ran");
    job.comment = Some(format!(
        "it's \"{}\"; touch gone\n#PBS -h\n#BSUB -H",
        NASTY[2]
    ));
    site.succeed(&job).await?;
    ensure!(site.has("ran") && !site.has("gone"), "the remark was run");
    Ok(())
}

async fn a_missing_working_directory_fails_the_job(site: &Site) -> Outcome {
    let mut job = site.shell("a", "true");
    job.command.directory = site.path().join("missing");
    let job = site.submit(&job).await?;
    let end = site.end(&job).await?;
    ensure!(end.reason != EndReason::Completed, "{end:?}");
    Ok(())
}

async fn arguments_arrive_unchanged(site: &Site) -> Outcome {
    let script = "printf '%s\\0' \"$@\" > seen";
    let mut argv = vec!["/bin/bash", "-c", script, "x"];
    argv.extend(NASTY);
    site.succeed(&site.job("a", &argv)).await?;
    let expected = format!("{}\0", NASTY.join("\0"));
    ensure_eq!(site.file("seen").await?, expected);
    Ok(())
}

async fn the_environment_arrives_unchanged(site: &Site) -> Outcome {
    let mut job = site.shell(
        "a",
        "for n in {0..11}; do v=V$n; printf '%s\\0' \"${!v}\"; done > seen",
    );
    for (number, value) in NASTY.iter().enumerate() {
        let variables = &mut job.command.environment;
        variables.insert(format!("V{number}"), (*value).to_owned());
    }
    site.succeed(&job).await?;
    let expected = format!("{}\0", NASTY.join("\0"));
    ensure_eq!(site.file("seen").await?, expected);
    Ok(())
}

async fn nothing_of_the_submitters_session_is_seen(site: &Site) -> Outcome {
    site.succeed(&site.shell("a", "env > seen")).await?;
    let seen = site.file("seen").await?;
    let leaks: Vec<&str> = seen.lines().filter(|line| line.contains(MARK)).collect();
    ensure!(leaks.is_empty(), "{leaks:?}");
    Ok(())
}

async fn setup_lines_run_first(site: &Site) -> Outcome {
    let mut job = site.shell("a", "printf %s \"$VALUE\" > seen");
    job.command.environment.insert("VALUE".into(), "own".into());
    job.command.setup = vec!["export VALUE=\"$VALUE and setup\"".into(), "# end".into()];
    site.succeed(&job).await?;
    ensure_eq!(site.file("seen").await?, "own and setup");
    Ok(())
}

async fn a_failing_setup_line_fails_the_job(site: &Site) -> Outcome {
    let mut job = site.shell("a", "touch ran");
    job.command.setup = vec!["(exit 7) # load the module".into(), "touch later".into()];
    let id = site.submit(&job).await?;
    let end = site.end(&id).await?;
    ensure_eq!(end.code, Some(7));
    ensure!(!site.has("ran") && !site.has("later"), "the job went on");
    let said = site.file("a.err").await?;
    ensure!(said.contains("load the module"), "{said:?}");
    Ok(())
}

async fn a_job_knows_its_id(site: &Site) -> Outcome {
    let mut job = site.shell("a", "printf %s \"$REFLOW_JOB_ID\" > seen");
    job.command.setup = vec!["printf %s \"$REFLOW_JOB_ID\" > before".into()];
    let id = site.succeed(&job).await?;
    ensure_eq!(site.file("before").await?, id.as_str());
    ensure_eq!(site.file("seen").await?, id.as_str());
    Ok(())
}

async fn an_element_knows_the_id_of_its_array(site: &Site) -> Outcome {
    let job = site.array("a", 2, "printf %s \"$REFLOW_JOB_ID\" > seen.$2");
    let id = site.succeed(&job).await?;
    for index in 0..2 {
        ensure_eq!(site.file(&format!("seen.{index}")).await?, id.as_str());
    }
    Ok(())
}

async fn a_job_does_not_start_before_its_time(site: &Site) -> Outcome {
    #[expect(
        clippy::disallowed_methods,
        reason = "the batch system has a wall clock"
    )]
    let time = SystemTime::now() + Duration::from_secs(3);
    let mut job = site.shell("a", "date +%s > started");
    job.not_before = Some(time);
    site.succeed(&job).await?;
    let started: u64 = site.file("started").await?.trim().parse().unwrap_or(0);
    let earliest = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    ensure!(started >= earliest, "{started} is before {earliest}");
    Ok(())
}
