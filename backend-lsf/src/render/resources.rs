use reflow_core::scheduler::client::Flags;
use reflow_core::scheduler::{
    Exclusive, Mail, MailEvent, Resources, SchedulerError, SchedulerErrorKind, Signal, check,
};

use super::invalid;
use crate::connect::Lsf;
use crate::dialect::Dialect;
use crate::memory::{Per, reserved};

/// Adds the flags of every resource that is set, or refuses it by name.
pub(super) fn add(
    flags: &mut Flags,
    lsf: &Lsf,
    resources: &Resources,
) -> Result<(), SchedulerError> {
    // Every field is named, so that a new one cannot be forgotten here.
    let Resources {
        cpus,
        mem,
        time,
        gpus,
        nodes,
        tasks,
        partition,
        account,
        qos,
        constraint,
        reservation,
        exclusive,
        signal,
        mail,
    } = resources;
    let dialect = lsf.dialect;
    let partition = partition
        .as_ref()
        .map(|name| lsf.partitions.get(name).unwrap_or(name).replace(',', " "));
    flags.short_if('q', partition);
    flags.short_if('P', account.as_ref());
    if let Some(class) = qos {
        ibm_only(
            dialect,
            "qos",
            "it has no service classes (`-sla`): leave it out",
        )?;
        flags.word("-sla");
        flags.word(class);
    }
    if let Some(reservation) = reservation {
        ibm_only(
            dialect,
            "reservation",
            "it has no advance reservations (`-U`): leave it out",
        )?;
        flags.short('U', reservation);
    }

    let places = Places::of(*cpus, *tasks, *nodes)?;
    if places.is_asked {
        flags.short('n', places.slots().to_string());
    }
    let mut requirements = Vec::new();
    if let Some(constraint) = constraint {
        if constraint.contains(['[', ']']) {
            return Err(invalid(format!(
                "`constraint` is `{constraint}`: write what stands inside `select[...]`, without brackets"
            )));
        }
        requirements.push(format!("select[{constraint}]"));
    }
    if let Some(mem) = mem {
        let all = mem.bytes().saturating_mul(u64::from(places.nodes));
        flags.short('M', lsf.units.limit(all));
        let per = if dialect.has_methods() {
            Per::Host
        } else {
            lsf.memory_per
        };
        let bytes = reserved(*mem, per, places.nodes, places.slots_each);
        let method = if dialect.has_methods() { "/host" } else { "" };
        requirements.push(format!(
            "rusage[mem={}{method}]",
            lsf.units.reservation(bytes)
        ));
    }
    if places.is_asked {
        requirements.push(places.span());
    }
    if !requirements.is_empty() {
        // One string: openlava refuses a second `-R`.
        flags.short('R', requirements.join(" "));
    }
    flags.short_if('W', time.map(|time| time.minutes().to_string()));
    if let Some(gpus) = gpus {
        flags.word("-gpu");
        flags.word(gpu(dialect, gpus)?);
    }
    match exclusive {
        None => {}
        Some(Exclusive::Node) => flags.word("-x"),
        Some(Exclusive::User) => {
            return refuse(
                "exclusive",
                "LSF shares a node with nobody or with everybody: use `node`, or leave it out",
            );
        }
    }
    if let Some(signal) = signal {
        warning(flags, dialect, signal)?;
    }
    if let Some(mail) = mail {
        notice(flags, dialect, mail)?;
    }
    Ok(())
}

/// How many slots, on how many nodes.
struct Places {
    nodes: u32,
    slots_each: u32,
    /// Whether any of the three was asked for.
    is_asked: bool,
}

impl Places {
    fn of(
        cpus: Option<u32>,
        tasks: Option<u32>,
        nodes: Option<u32>,
    ) -> Result<Self, SchedulerError> {
        let is_asked = cpus.is_some() || tasks.is_some() || nodes.is_some();
        let nodes = nodes.unwrap_or(1);
        let tasks = tasks.unwrap_or(nodes);
        if !tasks.is_multiple_of(nodes) {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Unsupported,
                format!(
                    "{tasks} `tasks` on {nodes} `nodes`: LSF places the same number on each node, so `tasks` must be a multiple of `nodes`"
                ),
            ));
        }
        let slots_each = (tasks / nodes).checked_mul(cpus.unwrap_or(1));
        match slots_each.filter(|each| each.checked_mul(nodes).is_some()) {
            Some(slots_each) => Ok(Self {
                nodes,
                slots_each,
                is_asked,
            }),
            None => Err(invalid(
                "`cpus` times `tasks` is more than any machine has".to_owned(),
            )),
        }
    }

    fn slots(&self) -> u32 {
        self.slots_each * self.nodes
    }

    fn span(&self) -> String {
        match self.nodes {
            1 => "span[hosts=1]".to_owned(),
            _ => format!("span[ptile={}]", self.slots_each),
        }
    }
}

/// GPUs of the job's own: LSF's default lets other jobs use them too.
fn gpu(dialect: Dialect, gpus: &str) -> Result<String, SchedulerError> {
    let (model, count) = check::gpu_count(gpus)?;
    if !dialect.has_gpus() {
        let why = if dialect.is_ibm() {
            "`-gpu` with a model came with fix pack 6 of LSF 10.1: ask for them with `constraint` or `extra`, as your site has them"
        } else {
            "it has no GPUs (`-gpu`): ask for them with `constraint` or `extra`, as your site has them"
        };
        return refuse("gpus", why).map(|()| String::new());
    }
    let model = model.map_or_else(String::new, |model| format!(":gmodel={model}"));
    Ok(format!("num={count}:j_exclusive=yes{model}"))
}

/// The signal before the end, in whole minutes, rounded up.
fn warning(flags: &mut Flags, dialect: Dialect, signal: &Signal) -> Result<(), SchedulerError> {
    ibm_only(
        dialect,
        "signal",
        "it sends no signal before the run limit (`-wa`, `-wt`): leave it out",
    )?;
    flags.word("-wa");
    flags.word(&signal.name);
    flags.word("-wt");
    flags.word(signal.before.minutes().to_string());
    Ok(())
}

fn notice(flags: &mut Flags, dialect: Dialect, mail: &Mail) -> Result<(), SchedulerError> {
    let on = |event| mail.on.contains(&event);
    if on(MailEvent::Begin) {
        flags.word("-B");
    }
    if on(MailEvent::End) {
        // At every end, failures included.
        flags.word("-N");
    } else if on(MailEvent::Fail) {
        ibm_only(
            dialect,
            "mail",
            "it sends mail at every end or at none: use `end` in place of `fail`",
        )?;
        flags.word("-Ne");
    }
    flags.short_if('u', mail.to.as_ref());
    Ok(())
}

fn ibm_only(dialect: Dialect, field: &str, why: &str) -> Result<(), SchedulerError> {
    if dialect.is_ibm() {
        Ok(())
    } else {
        refuse(field, why)
    }
}

fn refuse(field: &str, why: &str) -> Result<(), SchedulerError> {
    Err(SchedulerError::new(
        SchedulerErrorKind::Unsupported,
        format!("this LSF does not have `{field}`: {why}"),
    ))
}
