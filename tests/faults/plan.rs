//! Which fault a run meets: all that follows from a seed.

use std::collections::BTreeMap;
use std::fmt;

use fs_err as fs;
use reflow_backend_local::FAULT_POINTS;
use reflow_core::fault::POINTS;
use reflow_tests::Random;

use crate::rig::{Backend, Rig};

/// What a user does with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Story {
    /// Submits it and waits for it.
    Run,
    /// Submits it and cancels it once something runs.
    Cancel,
    /// Waits for its end, puts in order what made it fail, and has it tried again.
    Retry,
}

/// A point that a process of some role reaches in a run without faults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) story: Story,
    pub(crate) dispatch: &'static str,
    pub(crate) role: String,
    pub(crate) point: String,
    /// How often.
    pub(crate) times: u32,
}

/// One rule of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) role: String,
    pub(crate) point: String,
    pub(crate) time: u32,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} kill", self.role, self.point, self.time)
    }
}

/// The faults of one run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) story: Story,
    pub(crate) dispatch: &'static str,
    pub(crate) rules: Vec<Rule>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.rules.iter().map(ToString::to_string).collect();
        let Self {
            seed,
            backend,
            story,
            dispatch,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {backend:?} {story:?} dispatch={dispatch}: {}",
            rules.join(" + ")
        )
    }
}

impl Plan {
    /// Returns what the program is given.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<_> = self.rules.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    /// Makes the plan of a seed: at one of `places`, and now and then at a second point, which may be one
    /// that only a process reaches that repairs something.
    pub(crate) fn of(seed: u64, backend: Backend, place: &Place) -> Self {
        let mut random = Random::new(seed);
        let time = 1 + random.below(u64::from(place.times)) as u32;
        let mut rules = vec![Rule {
            role: place.role.clone(),
            point: place.point.clone(),
            time,
        }];
        if random.happens(300) {
            let all: Vec<&str> = POINTS.iter().chain(FAULT_POINTS).copied().collect();
            rules.push(Rule {
                role: "*".to_owned(),
                point: (*random.one(&all)).to_owned(),
                time: 1 + random.below(3) as u32,
            });
        }
        Self {
            seed,
            backend,
            story: place.story,
            dispatch: place.dispatch,
            rules,
        }
    }
}

/// Runs the stories without faults, checks them, and returns all that is reached, in an order that
/// follows from `seed`.
pub(crate) fn census(backend: Backend, width: u32, seed: u64) -> Vec<Place> {
    let stories = [
        (Story::Run, "worker"),
        (Story::Run, "job"),
        (Story::Run, "login"),
        (Story::Cancel, "worker"),
        (Story::Retry, "worker"),
    ];
    let mut found: BTreeMap<(Story, &'static str, String, String), u32> = BTreeMap::new();
    for (story, dispatch) in stories {
        let plan = Plan {
            seed: 0,
            backend,
            story,
            dispatch,
            rules: Vec::new(),
        };
        let rig = Rig::new(backend, dispatch, width, story.nap(), "census\n");
        let faults = crate::story::tell(&rig, &plan).faults;
        assert!(faults.is_empty(), "without faults, {plan}: {faults:#?}");
        let reached = rig.program.home().join("faults/reached");
        for entry in fs::read_dir(reached).expect("the rig made it") {
            let path = entry.expect("home is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let (role, point) = name.split_once('@').expect("written by the program");
            let times = fs::metadata(&path).expect("home is readable").len() as u32;
            let key = (
                story,
                dispatch,
                role.to_owned(),
                point.replacen('.', "/", 1),
            );
            found.insert(key, times);
        }
    }
    let mut places: Vec<Place> = found
        .into_iter()
        .map(|((story, dispatch, role, point), times)| Place {
            story,
            dispatch,
            role,
            point,
            times,
        })
        .collect();
    let mut random = Random::new(seed);
    for at in (1..places.len()).rev() {
        places.swap(at, random.below(at as u64 + 1) as usize);
    }
    places
}

impl Story {
    /// What bodies do between their first and their last line.
    pub(crate) fn nap(self) -> &'static str {
        match self {
            Self::Run | Self::Retry => ":",
            Self::Cancel => "sleep 0.2",
        }
    }
}
