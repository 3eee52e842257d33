use reflow_core::scheduler::{
    ArrayRequest, Exclusive, Found, Mail, MailEvent, Memory, RESOURCE_KEYS, Resources,
    SchedulerErrorKind, Signal, Walltime,
};

use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Failure, Need, Outcome, Site};

pub(super) const CASES: &[Case] = &[
    case!(Site, "N1", Need::NOTHING, the_name_can_be_selected),
    case!(Site, "R1", Need::NOTHING, rendering_is_pure),
    case!(
        Site,
        "R2",
        Need::NOTHING,
        every_resource_is_rendered_or_refused_by_name
    ),
    case!(Site, "R4", Need::NOTHING, the_users_own_flags_come_last),
    case!(Site, "K1", Need::NOTHING, capabilities_stay_as_they_are),
    case!(Site, "R2", Need::NOTHING, what_makes_no_sense_is_refused),
];

async fn the_name_can_be_selected(site: &Site) -> Outcome {
    let name = site.scheduler.name();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ensure!(!name.is_empty() && name.bytes().all(fits), "{name:?}");
    ensure_eq!(site.scheduler.name(), name);
    Ok(())
}

async fn rendering_is_pure(site: &Site) -> Outcome {
    let job = site.array("a", 3, "touch ran");
    ensure_eq!(site.scheduler.render(&job)?, site.scheduler.render(&job)?);
    let found = site.scheduler.find(std::slice::from_ref(&job.tag)).await?;
    ensure!(!matches!(found[..], [Found::Present(_)]), "{found:?}");
    Ok(())
}

/// The resources with one key set, by several values that mean different things.
fn alone(key: &str) -> Vec<Resources> {
    let one = |set: &dyn Fn(&mut Resources)| {
        let mut resources = Resources::default();
        set(&mut resources);
        resources
    };
    let texts = ["one", "two"].map(str::to_owned);
    let walltimes = [3600, 7200].map(Walltime::from_seconds);
    match key {
        "account" => texts
            .map(|text| one(&|r| r.account = Some(text.clone())))
            .into(),
        "constraint" => texts
            .map(|text| one(&|r| r.constraint = Some(text.clone())))
            .into(),
        "cpus" => [2, 3].map(|n| one(&|r| r.cpus = Some(n))).into(),
        "exclusive" => [Exclusive::Node, Exclusive::User]
            .map(|of| one(&|r| r.exclusive = Some(of)))
            .into(),
        "gpus" => ["1", "2", "a100:2", "v100:2"]
            .map(|gpus| one(&|r| r.gpus = Some(gpus.to_owned())))
            .into(),
        "mail" => [
            (None, MailEvent::Begin),
            (None, MailEvent::End),
            (None, MailEvent::Fail),
            (Some("me@example.org"), MailEvent::End),
        ]
        .map(|(to, on)| {
            let to = to.map(str::to_owned);
            one(&|r| {
                r.mail = Some(Mail {
                    to: to.clone(),
                    on: vec![on],
                });
            })
        })
        .into(),
        "mem" => [100, 2000]
            .map(|n| one(&|r| r.mem = Some(Memory::from_mebibytes(n))))
            .into(),
        "nodes" => [2, 3].map(|n| one(&|r| r.nodes = Some(n))).into(),
        // Another word for the same field.
        "partition" | "queue" => texts
            .map(|text| one(&|r| r.partition = Some(text.clone())))
            .into(),
        "qos" => texts
            .map(|text| one(&|r| r.qos = Some(text.clone())))
            .into(),
        "reservation" => texts
            .map(|text| one(&|r| r.reservation = Some(text.clone())))
            .into(),
        "signal" => [("USR1", 60), ("USR2", 60), ("USR1", 600)]
            .map(|(name, before)| {
                let before = Walltime::from_seconds(before);
                one(&|r| {
                    r.signal = Some(Signal {
                        name: name.to_owned(),
                        before,
                    });
                })
            })
            .into(),
        "tasks" => [2, 3].map(|n| one(&|r| r.tasks = Some(n))).into(),
        "time" => walltimes.map(|time| one(&|r| r.time = Some(time))).into(),
        _ => Vec::new(),
    }
}

/// Every value of every resource alone: what is rendered differs from all else, what is not names the key.
async fn every_resource_is_rendered_or_refused_by_name(site: &Site) -> Outcome {
    let mut job = site.shell("a", "true");
    job.resources = Resources::default();
    let plain = site.scheduler.render(&job)?;
    for key in RESOURCE_KEYS {
        let values = alone(key);
        ensure!(
            values.len() > 1,
            "`{key}` is not tried: add it to the suite"
        );
        let mut seen = vec![plain.clone()];
        for resources in values {
            job.resources = resources;
            match site.scheduler.render(&job) {
                Ok(rendered) => {
                    ensure!(
                        !seen.contains(&rendered),
                        "`{key}`, or a part of it, is dropped: {:?}",
                        job.resources
                    );
                    seen.push(rendered);
                }
                Err(error) => {
                    ensure_eq!(error.kind(), SchedulerErrorKind::Unsupported);
                    let text = error.to_string();
                    let name = if key == "queue" { "partition" } else { key };
                    ensure!(
                        text.contains(name),
                        "`{key}` is refused without its name: {text}"
                    );
                }
            }
        }
    }
    Ok(())
}

async fn the_users_own_flags_come_last(site: &Site) -> Outcome {
    const FLAG: &str = "--reflow-no-such-flag";
    let mut job = site.shell("a", "true");
    job.extra = vec![FLAG.to_owned()];
    let rendered = match site.scheduler.render(&job) {
        Ok(rendered) => rendered,
        Err(error) if error.kind() == SchedulerErrorKind::Unsupported => {
            return Err(Failure::does_not_apply("the batch system has no flags"));
        }
        Err(error) => return Err(error.into()),
    };
    let directives = rendered
        .stdin
        .lines()
        .take_while(|line| line.starts_with('#'));
    let in_script = directives.last().is_some_and(|line| line.ends_with(FLAG));
    let on_command = rendered.argv.last().is_some_and(|word| word == FLAG);
    ensure!(in_script || on_command, "{rendered:?}");
    Ok(())
}

async fn capabilities_stay_as_they_are(site: &Site) -> Outcome {
    let before = site.capabilities().clone();
    site.succeed(&site.array("a", 2, "true")).await?;
    ensure_eq!(*site.capabilities(), before);
    Ok(())
}

async fn what_makes_no_sense_is_refused(site: &Site) -> Outcome {
    let mut none = site.array("a", 1, "true");
    none.array = Some(ArrayRequest {
        count: 0,
        at_most: None,
    });
    let empty = site.job("b", &[]);
    let nul = site.job("c", &["true", "a\0b"]);
    let mut relative = site.shell("d", "true");
    relative.command.directory = "relative".into();
    for job in [none, empty, nul, relative] {
        let Err(error) = site.try_submit(&job).await else {
            return Err(Failure::new(format!("{job:?} was taken")));
        };
        ensure_eq!(error.error.kind(), SchedulerErrorKind::InvalidRequest);
        ensure!(!error.may_exist, "a job may exist: {error}");
    }
    Ok(())
}
