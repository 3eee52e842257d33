//! What is told about the cluster: `lsid`, `bqueues`, `bhosts`, `bparams`.

use super::FAILED;
use super::text::add;
use crate::fake::client::Client;
use crate::fake::{Answer, Dialect, ElementState, Job, Queue, Request};

/// What `-V` and `lsid` say. Of openlava that of its source; of IBM LSF IBM's page of `lsid`.
pub(super) fn version(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Lsf => {
            "IBM Spectrum LSF Standard 10.1.0.0, Jul 08 2016\n\
             Copyright International Business Machines Corp. 1992, 2016.\n\
             US Government Users Restricted Rights - Use, duplication or disclosure restricted by GSA ADP Schedule Contract with IBM Corp."
        }
        _ => "openlava project 2.2, Nov 22 2015",
    }
}

/// Runs `lsid` and returns its exit code.
pub(super) fn lsid(client: &Client) -> u8 {
    if client.words().iter().any(|word| word == "-V") {
        client.complain(version(client.dialect));
        return 0;
    }
    let (cluster, server) = match client.dialect {
        Dialect::Lsf => ("cluster1", "master"),
        _ => ("openlava", "master"),
    };
    client.print(&format!(
        "{}\n\nMy cluster name is {cluster}\nMy {server} name is {}\n",
        version(client.dialect),
        client.options.server
    ));
    0
}

/// Runs `bparams` and returns its exit code. The layout of `-l` is openlava's; `-a` is IBM's, the lines
/// of `lsb.params`.
pub(super) fn bparams(client: &Client) -> u8 {
    let words = client.words();
    let options = &client.options;
    let clean = options.history.unwrap_or_default().as_secs();
    let largest = options.array_limit;
    let queue = &options.queues[0].name;
    match words.first().map(String::as_str) {
        None => client.print(&format!(
            "Default Queues:  {queue}\nJob Dispatch Interval:  20 seconds\n\
             Job Checking Interval:  15 seconds\nJob Accepting Interval:  20 seconds\n"
        )),
        Some("-V") => client.complain(version(client.dialect)),
        Some("-l") => client.print(&format!(
            "System default queues for automatic queue selection:\n    DEFAULT_QUEUE = {queue}\n\n\
             The interval for dispatching jobs by master batch daemon:\n    MBD_SLEEP_TIME = 20 (seconds)\n\n\
             The interval for checking jobs by slave batch daemon:\n    SBD_SLEEP_TIME = 15 (seconds)\n\n\
             The amount of time during which finished jobs are kept in core:\n    CLEAN_PERIOD = {clean} (seconds)\n\n\
             The default project assigned to jobs:\n    DEFAULT_PROJECT = default\n\n\
             The maximum number of jobs in a job array:\n    MAX_JOB_ARRAY_SIZE = {largest}\n\n"
        )),
        Some("-a") if client.dialect == Dialect::Lsf => client.print(&format!(
            "lsb.params configuration at {}\n    CLEAN_PERIOD = {clean}\n    DEFAULT_PROJECT = default\n    \
             DEFAULT_QUEUE = {queue}\n    JOB_TERMINATE_INTERVAL = 10\n    \
             MAX_JOB_ARRAY_SIZE = {largest}\n    MBD_SLEEP_TIME = 10\n",
            super::text::long_time(crate::fake::now())
        )),
        Some(_) => {
            client.complain("usage: bparams [-h] [-V] [-l]");
            return FAILED;
        }
    }
    0
}

/// Slots that are wanted, and held by what runs, by a filter.
fn slots(jobs: &[Job], is_in: impl Fn(&Job) -> bool) -> (u32, u32) {
    let mut pending = 0;
    let mut running = 0;
    for job in jobs.iter().filter(|job| is_in(job)) {
        let cpus = job.submission.cpus.max(1);
        for element in &job.elements {
            match element.state {
                ElementState::Pending => pending += cpus,
                ElementState::Running | ElementState::Exiting => running += cpus,
                ElementState::Ended => {}
            }
        }
    }
    (pending, running)
}

fn all_jobs(client: &Client) -> Result<Vec<Job>, u8> {
    match client.ask(&Request::List(None)) {
        Ok(Answer::Jobs(jobs)) => Ok(jobs),
        other => Err(super::no_answer(client, &other)),
    }
}

/// Runs `bhosts` and returns its exit code.
pub(super) fn bhosts(client: &Client) -> u8 {
    let jobs = match all_jobs(client) {
        Ok(jobs) => jobs,
        Err(code) => return code,
    };
    let (_, running) = slots(&jobs, |_| true);
    let max = client.options.slots;
    let state = if running >= max { "closed" } else { "ok" };
    client.print(&format!(
        "HOST_NAME          STATUS       JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV \n\
         {:<18} {state:<12} {:>4} {max:>6} {running:>6} {running:>6} {:>6} {:>6} {:>6}\n",
        client.options.server, "-", 0, 0, 0
    ));
    0
}

/// Runs `bqueues` and returns its exit code.
pub(super) fn bqueues(client: &Client) -> u8 {
    let words = client.words();
    if words.iter().any(|word| word == "-V") {
        client.complain(version(client.dialect));
        return 0;
    }
    let jobs = match all_jobs(client) {
        Ok(jobs) => jobs,
        Err(code) => return code,
    };
    let is_long = words.iter().any(|word| word == "-l");
    let names: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let all = client.options.queues.iter();
    let chosen: Vec<&Queue> = all
        .filter(|queue| names.is_empty() || names.contains(&&queue.name))
        .collect();
    let mut code = 0;
    for name in names {
        if client.options.queue(name).is_none() {
            client.complain(&format!("{name}: No such queue"));
            code = FAILED;
        }
    }
    let mut text = String::new();
    if !is_long && !chosen.is_empty() {
        text +=
            "QUEUE_NAME      PRIO STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN  SUSP \n";
    }
    for queue in chosen {
        let (pending, running) = slots(&jobs, |job| job.submission.queue == queue.name);
        let state = if queue.enabled {
            "Open:Active"
        } else {
            "Closed:Active"
        };
        let total = pending + running;
        if is_long {
            text += &long(
                client,
                queue,
                &format!(
                    " 30   20  {state:<14}   -    -    -    - {total:>5} {pending:>5} {running:>5}     0     0    0"
                ),
            );
        } else {
            add(
                &mut text,
                format_args!(
                    "{:<15}  30  {state:<14}   -    -    -    - {total:>5} {pending:>5} {running:>5}     0\n",
                    queue.name
                ),
            );
        }
    }
    client.print(&text);
    code
}

/// The long form: `RUNLIMIT` and `PROCLIMIT` side by side, each in a column of 25, a limit in minutes.
fn long(client: &Client, queue: &Queue, statistics: &str) -> String {
    let is_default = queue.name == client.options.queues[0].name;
    let default = if is_default {
        "  This is the default queue."
    } else {
        ""
    };
    let mut text = format!(
        "\nQUEUE: {}\n  -- No description provided.{default}\n\nPARAMETERS/STATISTICS\n\
         PRIO NICE STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN SSUSP USUSP  RSV \n{statistics}\n\n\
         Interval for a host to accept two jobs is 0 seconds\n",
        queue.name
    );
    let mut columns = Vec::new();
    if let Some(seconds) = queue.max_seconds {
        columns.push(("RUNLIMIT", format!(" {:.1} min", seconds as f64 / 60.0)));
    }
    if let Some(cpus) = queue.max_cpus {
        columns.push(("PROCLIMIT", format!(" {cpus}")));
    }
    if !columns.is_empty() {
        let mut heads = String::new();
        let mut values = String::new();
        for (head, value) in columns {
            add(&mut heads, format_args!(" {head:<24}"));
            add(&mut values, format_args!("{value:<25}"));
        }
        add(
            &mut text,
            format_args!("\n{heads}\n{}\n", values.trim_end()),
        );
    }
    text + "\nSCHEDULING PARAMETERS\n\
        \x20          r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n\
        \x20loadSched   -     -     -     -       -     -    -     -     -      -      -  \n\
        \x20loadStop    -     -     -     -       -     -    -     -     -      -      -  \n\n\
        USERS:  all users\nHOSTS:  all hosts used by the openlava system\n\n"
}
