use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which calls of a program go wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// Which of the calls.
    pub when: When,
    /// Only calls with an argument that contains this text; others are not counted by `when` either.
    pub only: Option<String>,
    /// Whether the request reaches the batch system: the real program is run to its end before the fault
    /// is shown.
    pub arrives: bool,
    /// What goes wrong.
    pub what: Fault,
}

/// Which calls go wrong, by their number since the plan was made, counted over all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Every call.
    Always,
    /// The first calls, so many.
    Times(u32),
    /// So many calls after the first few, which go right.
    Later {
        /// How many go right before.
        after: u32,
        /// How many go wrong then.
        times: u32,
    },
    /// One call of each group of so many.
    Each {
        /// The size of a group.
        of: u32,
        /// Which of the group, from 1.
        place: u32,
    },
}

/// What goes wrong in a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Nothing is said, and the program does not end until somebody kills it.
    Silent,
    /// The program ends well and has said nothing.
    Empty,
    /// The program ends well and has said what belongs to something else.
    Garbage,
    /// There are bytes in the answer that are not UTF-8. Where the request does not arrive, only these.
    NotUtf8,
    /// The first half of the answer, cut in the middle of a line. The request arrives in any case.
    CutInHalf,
    /// The answer between lines of something else, as sites put them around what a submission prints.
    /// The request arrives in any case.
    Banner(String),
    /// The answer comes so much later. Where the request arrives, the wait is after it, else before it;
    /// it is carried out in any case.
    Late(Duration),
    /// The program is killed by a signal and has said nothing.
    Dead,
    /// The program says this on standard error and ends with this code.
    Fails {
        /// What it says.
        text: String,
        /// Its exit code.
        code: u8,
    },
}

impl FaultPlan {
    /// Returns a plan by which every call goes wrong before the request has arrived.
    pub fn always(what: Fault) -> Self {
        Self {
            when: When::Always,
            only: None,
            arrives: false,
            what,
        }
    }

    /// Returns a plan by which the first calls go wrong before the request has arrived.
    pub fn times(times: u32, what: Fault) -> Self {
        Self {
            when: When::Times(times),
            ..Self::always(what)
        }
    }

    /// Has the request arrive: the batch system does what it was asked, and the caller does not know.
    #[must_use]
    pub fn arriving(mut self) -> Self {
        self.arrives = true;
        self
    }

    /// Leaves alone all calls without an argument that contains `text`.
    #[must_use]
    pub fn only(mut self, text: &str) -> Self {
        self.only = Some(text.to_owned());
        self
    }

    /// Says whether it is about a call with these arguments.
    pub(super) fn concerns(&self, arguments: &[String]) -> bool {
        match &self.only {
            None => true,
            Some(text) => arguments.iter().any(|argument| argument.contains(text)),
        }
    }
}

impl When {
    /// Says whether the call of this number, from 1, goes wrong.
    pub(super) fn has(self, number: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Times(times) => number <= times,
            Self::Later { after, times } => number > after && number - after <= times,
            Self::Each { of, place } => of != 0 && number % of == place % of,
        }
    }
}

impl From<Fault> for FaultPlan {
    fn from(what: Fault) -> Self {
        Self::always(what)
    }
}

#[cfg(test)]
mod tests {
    use super::When;

    #[test]
    fn calls_are_told_by_their_number() {
        let of = |when: When| (1..=7).filter(|n| when.has(*n)).collect::<Vec<_>>();
        assert_eq!(of(When::Always), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(of(When::Times(2)), [1, 2]);
        assert_eq!(of(When::Later { after: 3, times: 2 }), [4, 5]);
        assert_eq!(of(When::Each { of: 3, place: 1 }), [1, 4, 7]);
        assert_eq!(of(When::Each { of: 3, place: 3 }), [3, 6]);
    }
}
