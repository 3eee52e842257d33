use std::fmt;
use std::pin::Pin;

use reflow_core::scheduler::{SchedulerError, SubmitError};

use crate::{FaultyRig, Part, Rig, Setup, Site};

/// One rule of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What is promised, as a sentence in `snake_case`.
    pub name: &'static str,
    /// The clause of the contract that it proves.
    pub clause: &'static str,
    /// What the batch system must be able to do.
    pub needs: Need,
    /// Whether it waits for a limit of the batch system, which may take minutes.
    pub slow: bool,
    /// The case itself, on the fixture that it needs.
    pub fixture: Fixture,
}

impl Case {
    /// Returns whether it takes minutes on `setup`: it is run only where somebody asks for all.
    pub fn is_slow(&self, setup: &Setup) -> bool {
        self.slow && !setup.quick_limits
    }
}

/// What a batch system must be able to do for a case to apply.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Whether it can, by its capabilities and what is known of the site.
    pub holds: fn(&Setup) -> bool,
    /// The words for people when it cannot.
    pub otherwise: &'static str,
}

impl Need {
    /// Every batch system can.
    pub const NOTHING: Self = Self {
        holds: |_| true,
        otherwise: "",
    };
}

/// A case, on the fixture that it needs.
#[derive(Debug, Clone, Copy)]
pub enum Fixture {
    /// What any user has.
    Site(for<'a> fn(&'a Site) -> Running<'a>),
    /// What only a test has.
    Rig(Part, for<'a> fn(&'a Rig) -> Running<'a>),
    /// Programs of the batch system that fail.
    Faulty(for<'a> fn(&'a FaultyRig) -> Running<'a>),
}

/// A case under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// How a case ended.
pub type Outcome = Result<(), Failure>;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The promise is not kept.
    Failed(String),
    /// It turned out that it cannot be shown here.
    DoesNotApply(String),
}

impl Failure {
    /// Returns a failure with these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Returns that the case cannot be shown here, with the reason.
    pub fn does_not_apply(reason: impl Into<String>) -> Self {
        Self::DoesNotApply(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::DoesNotApply(message) => f.write_str(message),
        }
    }
}

impl From<SchedulerError> for Failure {
    fn from(error: SchedulerError) -> Self {
        Self::Failed(format!("{:?}: {error}", error.kind()))
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        Self::Failed(format!(
            "{:?}, may exist: {}: {error}",
            error.error.kind(),
            error.may_exist
        ))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Fails the case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the case unless two values are the same.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {{
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            return Err($crate::Failure::new(format!(
                "{} is {found:?}, not {expected:?}",
                stringify!($found)
            )));
        }
    }};
}

/// Lists a case of the module on its fixture.
macro_rules! case {
    (slow $($rest:tt)+) => {
        $crate::Case {
            slow: true,
            ..$crate::case::case!($($rest)+)
        }
    };
    (Site, $clause:literal, $needs:expr, $name:ident) => {
        $crate::case::case!(@ $clause, $needs, $name, $crate::Fixture::Site(|site| Box::pin($name(site))))
    };
    (Rig($part:ident), $clause:literal, $needs:expr, $name:ident) => {
        $crate::case::case!(@ $clause, $needs, $name,
            $crate::Fixture::Rig($crate::Part::$part, |rig| Box::pin($name(rig))))
    };
    (Faulty, $clause:literal, $needs:expr, $name:ident) => {
        $crate::case::case!(@ $clause, $needs, $name, $crate::Fixture::Faulty(|rig| Box::pin($name(rig))))
    };
    (@ $clause:literal, $needs:expr, $name:ident, $fixture:expr) => {
        $crate::Case {
            name: stringify!($name),
            clause: $clause,
            needs: $needs,
            slow: false,
            fixture: $fixture,
        }
    };
}

pub(crate) use {case, ensure, ensure_eq};
