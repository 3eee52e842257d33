//! The workflow that is run, what it gives, and the file that its bodies feed.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;

/// Elements in one array index of the batch task.
pub(crate) const BATCH: u32 = 3;
/// The element that fails by itself, until a person has put something in order.
const BAD: u32 = 1;

/// A task, what it does with its items, and what it needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) width: Width,
    /// The task whose results it takes.
    pub(crate) upstream: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// A single task.
    One,
    /// An array over what its upstream has: the list of `seed`, or element by element.
    Wide,
    /// An array over an empty list.
    Empty,
}

const fn task(name: &'static str, width: Width, upstream: Option<&'static str>) -> Task {
    Task {
        name,
        width,
        upstream,
    }
}

/// All tasks, upstream ones first.
pub(crate) const TASKS: &[Task] = &[
    task("seed", Width::One, None),
    task("fan", Width::Wide, Some("seed")),
    task("chain", Width::Wide, Some("fan")),
    task("sum", Width::One, Some("chain")),
    task("batched", Width::Wide, Some("seed")),
    task("batched_sum", Width::One, Some("batched")),
    task("picky", Width::Wide, Some("seed")),
    task("after_picky", Width::Wide, Some("picky")),
    task("picky_sum", Width::One, Some("after_picky")),
    task("flaky", Width::Wide, Some("seed")),
    task("flaky_sum", Width::One, Some("flaky")),
    task("none", Width::One, None),
    task("empty", Width::Empty, Some("none")),
    task("count", Width::One, Some("empty")),
];

/// Returns whether an element fails by itself, whatever happens.
pub(crate) fn is_bad(task: &str, element: u32) -> bool {
    task == "picky" && element == BAD
}

/// Returns how often a body starts again by itself when all goes well.
pub(crate) fn restarts(width: u32) -> u32 {
    // Each element of `flaky`.
    width
}

/// Returns the workflow file, whose bodies append to the file `feed` in `home`, and in between do what
/// `nap` says. The bad element is good once there is a file `healed` there.
pub(crate) fn text(width: u32, home: &Path, nap: &str) -> String {
    let home = home.display();
    let feed = format!("{home}/feed");
    let body = |task: &str, item: &str, rest: &str| {
        format!(
            "shell = '''\necho start {task} {item} $$ $EPOCHREALTIME >> {feed}\n{nap}\n{rest}\necho end {task} {item} $$ $EPOCHREALTIME >> {feed}\n"
        )
    };
    let total = "total=0; for x in {all}; do total=$((total + x)); done";
    let item = |upstream: &str| {
        format!("array = true\nparams.n = {{ type = \"int\", result = \"{upstream}\" }}\n")
    };
    let all = |upstream: &str| {
        format!("params.all = {{ type = \"list[int]\", result = \"{upstream}\" }}\n")
    };
    let list = "returns = \"list[int]\"\noutput = \"lines\"\n";
    let int = "returns = \"int\"\n";
    let mut text = String::from("[workflow]\nname = \"faults\"\n");
    let mut add = |name: &str, keys: &str, body: String, value: &str| {
        for part in ["[tasks.", name, "]\n", keys, &body, value, "\n'''\n"] {
            text.push_str(part);
        }
    };
    let last = width - 1;
    add(
        "seed",
        list,
        body("seed", "0", ""),
        &format!("seq 0 {last}"),
    );
    let keys = |shape: &str| format!("{shape}{int}");
    add(
        "fan",
        &keys(&item("seed")),
        body("fan", "{n}", ""),
        "echo $(( {n} * 2 ))",
    );
    add(
        "chain",
        &keys(&item("fan")),
        body("chain", "{n}", ""),
        "echo $(( {n} + 1 ))",
    );
    add(
        "sum",
        &keys(&all("chain")),
        body("sum", "0", total),
        "echo $total",
    );
    let batch = format!("batch = {BATCH}\n{}", item("seed"));
    add(
        "batched",
        &keys(&batch),
        body("batched", "{n}", ""),
        "echo $(( {n} * 3 ))",
    );
    add(
        "batched_sum",
        &keys(&all("batched")),
        body("batched_sum", "0", total),
        "echo $total",
    );
    let fails = format!("[ {{n}} != {BAD} ] || [ -e {home}/healed ] || exit 3");
    add(
        "picky",
        &keys(&item("seed")),
        body("picky", "{n}", &fails),
        "echo {n}",
    );
    add(
        "after_picky",
        &keys(&item("picky")),
        body("after_picky", "{n}", ""),
        "echo {n}",
    );
    add(
        "picky_sum",
        &keys(&all("after_picky")),
        body("picky_sum", "0", total),
        "echo $total",
    );
    let once = format!("! mkdir {home}/flaky.{{n}} 2>/dev/null || exit 9");
    let keys_of_flaky = format!("retries = 1\n{}", keys(&item("seed")));
    add(
        "flaky",
        &keys_of_flaky,
        body("flaky", "{n}", &once),
        "echo {n}",
    );
    add(
        "flaky_sum",
        &keys(&all("flaky")),
        body("flaky_sum", "0", total),
        "echo $total",
    );
    add("none", list, body("none", "0", ""), "");
    add(
        "empty",
        &keys(&item("none")),
        body("empty", "{n}", ""),
        "echo {n}",
    );
    add(
        "count",
        &keys(&all("empty")),
        body("count", "0", ""),
        "set -- {all}; echo $#",
    );
    text
}

/// Returns the value that a single task gives when all goes well; none where that cannot be.
pub(crate) fn value(task: &str, width: u32) -> Option<u64> {
    let n = u64::from(width);
    match task {
        // The sum of 2i + 1 for all i below n.
        "sum" => Some(n * n),
        "batched_sum" => Some(3 * n * (n - 1) / 2),
        "flaky_sum" => Some(n * (n - 1) / 2),
        "count" => Some(0),
        _ => None,
    }
}

/// What bodies have said: how often each has started and how often it has come to its end, by task and
/// element.
#[derive(Debug, Default, Clone)]
pub(crate) struct Feed {
    pub(crate) started: BTreeMap<(String, u32), u32>,
    pub(crate) ended: BTreeMap<(String, u32), u32>,
    /// When the last one started, in seconds since 1970.
    pub(crate) last_start: f64,
    /// Lines that cannot be understood.
    pub(crate) foreign: Vec<String>,
}

impl Feed {
    /// Reads the file; one that is not there is empty.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut feed = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, task, item, _, time] = words[..] else {
                feed.foreign.push(line.to_owned());
                continue;
            };
            let (Ok(item), Ok(time)) = (item.parse::<u32>(), time.parse::<f64>()) else {
                feed.foreign.push(line.to_owned());
                continue;
            };
            // `chain` is given twice the number of its element.
            let element = if task == "chain" { item / 2 } else { item };
            let map = if what == "start" {
                feed.last_start = feed.last_start.max(time);
                &mut feed.started
            } else {
                &mut feed.ended
            };
            *map.entry((task.to_owned(), element)).or_default() += 1;
        }
        feed
    }
}
