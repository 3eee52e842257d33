//! What the server says about itself, its queues and its node: `qstat -B`, `qstat -Q`, `qmgr`, `pbsnodes`.
//!
//! By the manuals qstat(1B), qmgr(8B) and pbs_server_attributes(7B). "`job_history_enable` is off by
//! default", and not shown then.

use serde_json::{Map, Value, json};

use crate::fake::client::Client;
use crate::fake::{FakeOptions, Job, Queue};

use super::directives::{Line, read};
use super::qstat::{heading, is_json};
use super::{attributes, list, print, size, torque};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Counts jobs by state, as `state_count` does.
fn counts(jobs: &[&Job]) -> String {
    let count = |state: &str| {
        jobs.iter()
            .filter(|job| attributes::of_job(job).state == state)
            .count()
    };
    format!(
        "Transit:0 Queued:{} Held:{} Waiting:{} Running:{} Exiting:{} Begun:{}",
        count("Q"),
        count("H"),
        count("W"),
        count("R"),
        count("E"),
        count("B")
    )
}

fn server_attributes(client: &Client, jobs: &[Job]) -> Map<String, Value> {
    let options = &client.options;
    let all: Vec<&Job> = jobs.iter().collect();
    let mut map = object(json!({
        "server_state": "Active",
        "server_host": options.server,
        "scheduling": "True",
        "total_jobs": jobs.iter().filter(|job| !job.is_ended()).count(),
        "state_count": counts(&all),
        "default_queue": options.queues[0].name,
        "log_events": 511,
        "mail_from": "adm",
        "query_other_jobs": "True",
        "resources_default": {"ncpus": 1},
        "default_chunk": {"ncpus": 1},
        "scheduler_iteration": 600,
        "flatuid": "True",
        "resv_enable": "True",
        "node_fail_requeue": 310,
        "max_array_size": options.array_limit,
    }));
    if torque::is(client.dialect) {
        let keep = options.history.map_or(0, |history| history.as_secs());
        map.insert("keep_completed".to_owned(), keep.into());
        map.insert("pbs_version".to_owned(), torque::VERSION.into());
        map.insert("max_job_array_size".to_owned(), options.array_limit.into());
        return map;
    }
    map.insert("pbs_version".to_owned(), super::VERSION.into());
    if let Some(history) = options.history {
        map.insert("job_history_enable".to_owned(), "True".into());
        map.insert(
            "job_history_duration".to_owned(),
            size::clock(history.as_secs()).into(),
        );
    }
    map.insert("eligible_time_enable".to_owned(), "False".into());
    map.insert("max_job_sequence_id".to_owned(), 9_999_999.into());
    map
}

fn queue_attributes(queue: &Queue, jobs: &[Job]) -> Map<String, Value> {
    let own: Vec<&Job> = jobs
        .iter()
        .filter(|job| job.submission.queue == queue.name && !job.is_ended())
        .collect();
    let mut map = object(json!({
        "queue_type": "Execution",
        "total_jobs": own.len(),
        "state_count": counts(&own),
    }));
    let mut most = Map::new();
    if let Some(cpus) = queue.max_cpus {
        most.insert("ncpus".to_owned(), cpus.into());
    }
    if let Some(seconds) = queue.max_seconds {
        most.insert("walltime".to_owned(), size::clock(seconds).into());
    }
    if !most.is_empty() {
        map.insert("resources_max".to_owned(), Value::Object(most));
    }
    let enabled = if queue.enabled { "True" } else { "False" };
    map.insert("enabled".to_owned(), enabled.into());
    map.insert("started".to_owned(), "True".into());
    map
}

/// Runs `qstat -B`.
pub(super) fn server(client: &Client, line: &Line) -> u8 {
    let jobs = match list::jobs(client, None) {
        Ok(jobs) => jobs,
        Err(code) => return code,
    };
    let name = &client.options.server;
    let attributes = server_attributes(client, &jobs);
    if is_json(line) {
        let mut document = heading(&client.options);
        document.insert("Server".to_owned(), json!({ name: attributes }));
        client.print(&print::json(&document));
    } else if line.options.iter().any(|(letter, _)| *letter == 'f') {
        client.print(&format!("Server: {name}\n{}\n", print::lines(&attributes)));
    } else {
        let active = jobs.iter().filter(|job| !job.is_ended()).count();
        client.print(&format!(
            "Server             Max   Tot   Que   Run   Hld   Wat   Trn   Ext Status\n\
             ---------------- ----- ----- ----- ----- ----- ----- ----- ----- -----------\n\
             {name:<16}     0 {active:>5}     0     0     0     0     0     0 Active\n"
        ));
    }
    0
}

/// Runs `qstat -Q`.
pub(super) fn queues(client: &Client, line: &Line) -> u8 {
    let jobs = match list::jobs(client, None) {
        Ok(jobs) => jobs,
        Err(code) => return code,
    };
    let mut code = 0;
    for name in &line.operands {
        if client.options.queue(name).is_none() {
            client.complain(&format!("qstat: Unknown queue {name}"));
            code = 170;
        }
    }
    let chosen: Vec<&Queue> = client
        .options
        .queues
        .iter()
        .filter(|queue| line.operands.is_empty() || line.operands.contains(&queue.name))
        .collect();
    if is_json(line) {
        let mut document = heading(&client.options);
        if !chosen.is_empty() {
            let queues: Map<String, Value> = chosen
                .iter()
                .map(|queue| {
                    let attributes = queue_attributes(queue, &jobs);
                    (queue.name.clone(), Value::Object(attributes))
                })
                .collect();
            document.insert("Queue".to_owned(), Value::Object(queues));
        }
        client.print(&print::json(&document));
    } else if line.options.iter().any(|(letter, _)| *letter == 'f') {
        for queue in chosen {
            let lines = print::lines(&queue_attributes(queue, &jobs));
            client.print(&format!("Queue: {}\n{lines}\n", queue.name));
        }
    } else if !chosen.is_empty() {
        client.print(
            "Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type\n\
             ---------------- ----- ----- --- --- ----- ----- ----- ----- ----- ----- ----\n",
        );
        for queue in chosen {
            let total = jobs
                .iter()
                .filter(|job| job.submission.queue == queue.name && !job.is_ended())
                .count();
            let enabled = if queue.enabled { "yes" } else { " no" };
            client.print(&format!(
                "{:<16}     0 {total:>5} {enabled} yes     0     0     0     0     0     0 Exec\n",
                queue.name
            ));
        }
    }
    code
}

/// Runs `qmgr -c "list server"` and `qmgr -c "print server"`, and what begins like them.
pub(super) fn qmgr(client: &Client) -> u8 {
    let line = read(&client.words(), "ac:ez").unwrap_or_default();
    let commands: Vec<&str> = line
        .options
        .iter()
        .filter(|(letter, _)| *letter == 'c')
        .filter_map(|(_, value)| value.as_deref())
        .collect();
    let jobs = match list::jobs(client, None) {
        Ok(jobs) => jobs,
        Err(code) => return code,
    };
    let attributes = server_attributes(client, &jobs);
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["l" | "list", "s" | "server", ..] => client.print(&format!(
                "Server {}\n{}\n",
                client.options.server,
                print::lines(&attributes)
            )),
            ["l" | "list", "q" | "queue", name, ..] => {
                let Some(queue) = client.options.queue(name) else {
                    client.complain(&format!("qmgr obj={name} svr=default: Unknown queue"));
                    return 1;
                };
                let lines = print::lines(&queue_attributes(queue, &jobs));
                client.print(&format!("Queue {name}\n{lines}\n"));
            }
            ["p" | "print", "s" | "server", ..] => {
                client.print(&settings(&client.options, &attributes));
            }
            _ => {
                client.complain(&format!("qmgr: Syntax error\n{command}"));
                return 1;
            }
        }
    }
    0
}

fn settings(options: &FakeOptions, attributes: &Map<String, Value>) -> String {
    let mut lines = vec![
        "#".to_owned(),
        "# Create queues and set their attributes.".to_owned(),
    ];
    for queue in &options.queues {
        let name = &queue.name;
        lines.push(format!(
            "#\n# Create and define queue {name}\n#\ncreate queue {name}"
        ));
        lines.push(format!("set queue {name} queue_type = Execution"));
        if let Some(cpus) = queue.max_cpus {
            lines.push(format!("set queue {name} resources_max.ncpus = {cpus}"));
        }
        if let Some(seconds) = queue.max_seconds {
            let clock = size::clock(seconds);
            lines.push(format!("set queue {name} resources_max.walltime = {clock}"));
        }
        let enabled = if queue.enabled { "True" } else { "False" };
        lines.push(format!("set queue {name} enabled = {enabled}"));
        lines.push(format!("set queue {name} started = True"));
    }
    lines.push("#\n# Set server attributes.\n#".to_owned());
    // What is counted is not set.
    let counted = [
        "server_state",
        "server_host",
        "total_jobs",
        "state_count",
        "pbs_version",
    ];
    for (name, value) in attributes {
        if !value.is_object() && !counted.contains(&name.as_str()) {
            lines.push(format!("set server {name} = {}", print::plain(value)));
        }
    }
    lines.join("\n") + "\n"
}

/// Runs `pbsnodes -a`.
pub(super) fn pbsnodes(client: &Client) -> u8 {
    let options = &client.options;
    let name = &options.server;
    client.print(&format!(
        "{name}\n     Mom = {name}\n     ntype = PBS\n     state = free\n     pcpus = {slots}\n\
         \x20    resources_available.arch = linux\n     resources_available.host = {name}\n\
         \x20    resources_available.mem = {memory}kb\n     resources_available.ncpus = {slots}\n\
         \x20    resources_available.vnode = {name}\n     resv_enable = True\n     sharing = default_shared\n\n",
        slots = options.slots,
        memory = options.memory / 1024,
    ));
    0
}
