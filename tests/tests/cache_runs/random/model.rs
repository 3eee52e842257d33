//! Workflows over numbers: what a task takes, what it makes of it, and what it returns.

use reflow_tests::Random;

/// How a number travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Int,
    /// As a text of more than ASCII.
    Str,
    /// In a file whose content counts.
    File,
    /// In a file whose maker counts.
    Path,
}

/// What an element of a task returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    /// One number.
    One(Kind),
    /// A list.
    Many(Kind),
}

impl Returns {
    /// Returns the kind of the numbers.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::One(kind) | Self::Many(kind) => kind,
        }
    }
}

/// What a task makes of the numbers that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One number out of all of them.
    Fold,
    /// A list with one number for each.
    Each,
    /// A list whose length follows from all of them.
    Burst,
}

/// Where a parameter comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag with one number.
    Number(i64),
    /// A flag with a text.
    Text(i64),
    /// A flag with a file: its name, and the number in it.
    File(String, i64),
    /// A flag with a list.
    List(Vec<i64>),
    /// Results of tasks, by their places.
    Tasks {
        /// The tasks.
        tasks: Vec<usize>,
        /// Whether each element gets one item of them.
        spread: bool,
        /// Whether `broadcast = true` is written.
        broadcast: bool,
        /// Whether the parameter is a list.
        list: bool,
    },
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Its name, one of its own in the whole workflow.
    pub(crate) name: String,
    /// How its numbers travel.
    pub(crate) kind: Kind,
    /// Where they come from.
    pub(crate) source: Source,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is an array task.
    pub(crate) array: bool,
    /// What it takes.
    pub(crate) parameters: Vec<Parameter>,
    /// What it does.
    pub(crate) work: Work,
    /// What it returns.
    pub(crate) returns: Returns,
    /// A number in its command that changes what it gives.
    pub(crate) salt: i64,
    /// How many different results it has: few, so that changes are lost on the way.
    pub(crate) modulus: i64,
    /// A number in its command that changes nothing.
    pub(crate) remark: i64,
    /// Its version.
    pub(crate) version: Option<i64>,
    /// How many elements share a job.
    pub(crate) batch: i64,
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workflow {
    /// Its tasks, each behind those that it takes results of.
    pub(crate) tasks: Vec<Task>,
}

impl Workflow {
    /// Returns one of two to seven tasks.
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut workflow = Self { tasks: Vec::new() };
        for place in 0..2 + random.below(6) as usize {
            let task = workflow.task(place, random);
            workflow.tasks.push(task);
        }
        workflow
    }

    fn task(&self, place: usize, random: &mut Random) -> Task {
        let name = format!("t{place}");
        let mut parameters = Vec::new();
        let spread = self.spread(random);
        let array = spread.is_some();
        let mut add = |kind, source| {
            let name = format!("p{place}x{}", parameters.len());
            parameters.push(Parameter { name, kind, source });
        };
        for (kind, source) in spread.into_iter().flatten() {
            add(kind, source);
        }
        let is_each = !array && random.happens(350);
        let whole = if is_each { 1 } else { random.below(3) };
        for _ in 0..whole {
            if let Some((kind, source)) = self.whole(array, is_each, random) {
                add(kind, source);
            }
        }
        if parameters.is_empty() || (!is_each && random.happens(250)) {
            let (kind, source) = plain(&format!("f{place}"), is_each, random);
            let name = format!("p{place}x{}", parameters.len());
            parameters.push(Parameter { name, kind, source });
        }
        let work = match (is_each, random.happens(200)) {
            (true, _) => Work::Each,
            (false, true) => Work::Burst,
            (false, false) => Work::Fold,
        };
        // An execution is told apart only where a task has one element.
        let kinds: &[Kind] = if array || work != Work::Fold {
            &[Kind::Int, Kind::Str, Kind::File]
        } else {
            &[Kind::Int, Kind::Str, Kind::File, Kind::Path]
        };
        let kind = *random.one(kinds);
        Task {
            name,
            array,
            parameters,
            work,
            returns: if work == Work::Fold {
                Returns::One(kind)
            } else {
                Returns::Many(kind)
            },
            salt: random.below(1000) as i64,
            modulus: *random.one(&[2, 3, 5, 10_007]),
            remark: 0,
            version: None,
            batch: *random.one(&[1, 1, 3]),
        }
    }

    /// Returns what an array takes item by item, if there is to be an array: the same tasks once or twice.
    fn spread(&self, random: &mut Random) -> Option<Vec<(Kind, Source)>> {
        let wide: Vec<usize> = (0..self.tasks.len())
            .filter(|place| self.tasks[*place].is_wide())
            .collect();
        if wide.is_empty() || !random.happens(650) {
            return None;
        }
        let first = *random.one(&wide);
        let kind = self.tasks[first].returns.kind();
        let mut tasks = vec![first];
        let others = self.of_kind(kind);
        if random.happens(250) {
            tasks.insert(random.below(2) as usize, *random.one(&others));
        }
        let source = Source::Tasks {
            tasks,
            spread: true,
            broadcast: false,
            list: false,
        };
        let mut sources = vec![(kind, source)];
        if random.happens(200) {
            sources.push(sources[0].clone());
        }
        Some(sources)
    }

    /// Returns something that is taken whole.
    fn whole(&self, array: bool, must_list: bool, random: &mut Random) -> Option<(Kind, Source)> {
        let fits = |place: &usize| {
            let task = &self.tasks[*place];
            match (array, task.array, task.returns) {
                // A list of lists is what an array of lists would be handed over as.
                (true, true, Returns::Many(_)) => false,
                _ => !must_list || task.is_wide(),
            }
        };
        let places: Vec<usize> = (0..self.tasks.len()).filter(fits).collect();
        if places.is_empty() {
            return None;
        }
        let first = *random.one(&places);
        let kind = self.tasks[first].returns.kind();
        let mut tasks = vec![first];
        let others: Vec<usize> = self.of_kind(kind);
        // Several in an array would be items of it, not one value for all.
        if !array && random.happens(250) {
            tasks.push(*random.one(&others));
        }
        let list = tasks.len() > 1 || self.tasks[first].is_wide();
        let source = Source::Tasks {
            tasks,
            spread: false,
            broadcast: array,
            list,
        };
        Some((kind, source))
    }

    fn of_kind(&self, kind: Kind) -> Vec<usize> {
        (0..self.tasks.len())
            .filter(|place| self.tasks[*place].returns.kind() == kind)
            .collect()
    }
}

impl Task {
    /// Returns whether it has several items to give.
    fn is_wide(&self) -> bool {
        self.array || matches!(self.returns, Returns::Many(_))
    }
}

/// Returns what a flag gives.
fn plain(file: &str, must_list: bool, random: &mut Random) -> (Kind, Source) {
    let number = random.below(50) as i64;
    if must_list || random.happens(350) {
        let list = (0..random.below(6))
            .map(|_| random.below(9) as i64)
            .collect();
        return (Kind::Int, Source::List(list));
    }
    match random.below(3) {
        0 => (Kind::Int, Source::Number(number)),
        1 => (Kind::Str, Source::Text(number)),
        _ => (Kind::File, Source::File(file.to_owned(), number)),
    }
}
