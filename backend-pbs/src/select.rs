//! Nodes, tasks, cores, memory and GPUs in PBS's form.

use reflow_core::scheduler::{
    Exclusive, Memory, Resources, SchedulerError, SchedulerErrorKind, check,
};

use crate::config::is_resource;

/// Nodes with the same number of tasks.
struct Group {
    nodes: u32,
    /// Tasks on each, where a number of them is asked for.
    tasks: Option<u32>,
}

/// Spreads the tasks over the nodes: as evenly as can be, the fuller nodes first.
///
/// Memory and GPUs are those of the job on each node. So where no number of nodes is asked for, all tasks
/// are on one.
fn groups(resources: &Resources) -> Result<Vec<Group>, SchedulerError> {
    let nodes = resources.nodes.unwrap_or(1);
    let Some(tasks) = resources.tasks else {
        return Ok(vec![Group { nodes, tasks: None }]);
    };
    let (each, more) = (tasks / nodes, tasks % nodes);
    if each == 0 {
        return Err(SchedulerError::new(
            SchedulerErrorKind::Unsupported,
            format!(
                "PBS has no node without a task: `tasks` ({tasks}) is less than `nodes` ({nodes})"
            ),
        ));
    }
    Ok([
        Group {
            nodes: more,
            tasks: Some(each + 1),
        },
        Group {
            nodes: nodes - more,
            tasks: Some(each),
        },
    ]
    .into_iter()
    .filter(|group| group.nodes > 0)
    .collect())
}

/// Returns the chunks of OpenPBS: `2:ncpus=8:mpiprocs=2:mem=1536mb:ngpus=1`, one chunk for each node. None
/// where nothing is asked for.
///
/// `spread` says that the number of tasks is asked for without nodes, memory or GPUs: they may then go
/// anywhere, each a chunk of its own.
pub(crate) fn select(
    resources: &Resources,
    gpu_type_resource: Option<&str>,
) -> Result<Option<String>, SchedulerError> {
    let features = features(resources.constraint.as_deref())?;
    let gpus = gpus(resources.gpus.as_deref(), gpu_type_resource)?;
    let Resources {
        cpus,
        mem,
        nodes,
        tasks,
        exclusive,
        ..
    } = resources;
    let is_asked_for = cpus.is_some()
        || mem.is_some()
        || nodes.is_some()
        || tasks.is_some()
        || exclusive.is_some()
        || !gpus.is_empty()
        || !features.is_empty();
    if !is_asked_for {
        return Ok(None);
    }
    let may_spread = nodes.is_none() && mem.is_none() && gpus.is_empty() && exclusive.is_none();
    let groups = match tasks {
        Some(tasks) if may_spread => vec![Group {
            nodes: *tasks,
            tasks: Some(1),
        }],
        _ => groups(resources)?,
    };
    let chunks: Vec<String> = groups
        .iter()
        .map(|group| {
            let mut words = vec![group.nodes.to_string()];
            match (group.tasks, cpus) {
                (None, None) => {}
                (None, Some(cpus)) => words.push(format!("ncpus={cpus}")),
                (Some(tasks), cpus) => {
                    let cpus = cpus.unwrap_or(1);
                    let all = u64::from(tasks) * u64::from(cpus);
                    words.push(format!("ncpus={all}"));
                    words.push(format!("mpiprocs={tasks}"));
                    words.push(format!("ompthreads={cpus}"));
                }
            }
            words.extend(mem.map(|mem| format!("mem={}", size(mem))));
            words.join(":") + &gpus + &features
        })
        .collect();
    Ok(Some(chunks.join("+")))
}

/// Returns where the chunks go: each on a host of its own where a number of nodes is asked for.
pub(crate) fn place(resources: &Resources) -> Result<Option<&'static str>, SchedulerError> {
    let is_scattered = resources.nodes.is_some_and(|nodes| nodes > 1);
    Ok(match (resources.exclusive, is_scattered) {
        (Some(Exclusive::User), _) => {
            return Err(unsupported(
                "PBS has no nodes that are shared with jobs of the same user alone: leave `exclusive` out, or set it to `node`",
            ));
        }
        (Some(Exclusive::Node), true) => Some("scatter:exclhost"),
        (Some(Exclusive::Node), false) => Some("exclhost"),
        (None, true) => Some("scatter"),
        (None, false) => None,
    })
}

/// Returns the nodes of Torque: `2:ppn=8:gpus=1:ssd`. None where none of it is asked for.
pub(crate) fn nodes(resources: &Resources) -> Result<Option<String>, SchedulerError> {
    let mut features = String::new();
    for feature in constraint(resources.constraint.as_deref())? {
        if feature.contains('=') {
            return Err(unsupported(&format!(
                "a node of Torque has properties without values: `constraint` has `{feature}`"
            )));
        }
        features.push(':');
        features.push_str(feature);
    }
    let gpus = match resources
        .gpus
        .as_deref()
        .map(check::gpu_count)
        .transpose()?
    {
        None => String::new(),
        Some((None, count)) => format!(":gpus={count}"),
        Some((Some(kind), _)) => {
            return Err(unsupported(&format!(
                "Torque has no types of GPUs for `gpus`: ask for nodes that have `{kind}` by `constraint`, or through `extra`"
            )));
        }
    };
    let is_asked_for = resources.cpus.is_some()
        || resources.nodes.is_some()
        || resources.tasks.is_some()
        || !gpus.is_empty()
        || !features.is_empty();
    if !is_asked_for {
        return Ok(None);
    }
    let terms: Vec<String> = groups(resources)?
        .iter()
        .map(|group| {
            let cpus = u64::from(resources.cpus.unwrap_or(1));
            let all = u64::from(group.tasks.unwrap_or(1)) * cpus;
            format!("{}:ppn={all}{gpus}{features}", group.nodes)
        })
        .collect();
    Ok(Some(terms.join("+")))
}

/// Returns an amount of memory in whole units that PBS knows: `1536mb`, `1500kb`.
pub(crate) fn size(memory: Memory) -> String {
    let kibibytes = memory.kibibytes();
    if kibibytes.is_multiple_of(1 << 10) {
        format!("{}mb", kibibytes >> 10)
    } else {
        format!("{kibibytes}kb")
    }
}

/// The resources of a chunk for `gpus`. The type has no resource that every site has.
fn gpus(gpus: Option<&str>, resource: Option<&str>) -> Result<String, SchedulerError> {
    Ok(match gpus.map(check::gpu_count).transpose()? {
        None => String::new(),
        Some((None, count)) => format!(":ngpus={count}"),
        Some((Some(kind), count)) => match resource {
            Some(resource) => format!(":ngpus={count}:{resource}={kind}"),
            None => {
                return Err(unsupported(&format!(
                    "PBS has no types of GPUs of its own for `gpus`: set `backend.pbs.gpu_type_resource` to the resource that holds them here, such as `gpu_model`, to ask for `{kind}`"
                )));
            }
        },
    })
}

/// The resources of a chunk for `constraint`: a name alone is one that is true or false.
fn features(text: Option<&str>) -> Result<String, SchedulerError> {
    let mut features = String::new();
    for feature in constraint(text)? {
        features.push(':');
        features.push_str(feature);
        if !feature.contains('=') {
            features.push_str("=true");
        }
    }
    Ok(features)
}

/// Takes `ib&mem_type=hbm` apart. Anything but a list of which all must hold is refused.
fn constraint(text: Option<&str>) -> Result<Vec<&str>, SchedulerError> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let is_value = |value: &str| {
        !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
    };
    let features: Vec<&str> = text.split(['&', ',']).map(str::trim).collect();
    let fits = features
        .iter()
        .all(|feature| match feature.split_once('=') {
            Some((name, value)) => is_resource(name) && is_value(value),
            None => is_resource(feature),
        });
    if fits {
        Ok(features)
    } else {
        Err(unsupported(&format!(
            "PBS takes features of nodes of which all must hold, such as `ib&arch=zen4`: `constraint` is `{text}`"
        )))
    }
}

pub(crate) fn unsupported(message: &str) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::Unsupported, message)
}
