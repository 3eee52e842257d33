//! How elements stand and how they ended, in LSF's words.

use crate::fake::{Cause, Dialect, Element, ElementState, How};

/// How an element ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// `DONE`
    Done,
    /// `EXIT` with a code.
    Code(i32),
    /// `EXIT` by a signal.
    Signal(i32),
    /// `EXIT` before it ran: "bkill while pending | EXIT, `Exited` with no code".
    Unstarted,
}

impl Ending {
    /// Returns how an element ended; none where it has not.
    pub(super) fn of(dialect: Dialect, element: &Element) -> Option<Self> {
        if element.state != ElementState::Ended {
            return None;
        }
        let outcome = element.outcome.as_ref()?;
        let is_ibm = dialect == Dialect::Lsf;
        Some(match outcome.how {
            How::Exited(0) => Self::Done,
            How::Exited(code) => Self::Code(code),
            How::NeverRan => Self::Unstarted,
            // Its directory is not there, say; IBM's manual calls 255 a failure to set the job up.
            How::NotStarted => Self::Code(255),
            // "trapping job | INT, 10 s later TERM, 10 s later KILL -> `Exited by signal 9.`"
            How::Signalled(9) if outcome.cause.is_some() || element.signalled => Self::Signal(9),
            // "`bkill 67` (sleep) | [...] then EXIT, code 130", "USR2 (default action ends it: code 140
            // = 128+12)": the shell's way to tell a signal.
            How::Signalled(signal) if is_ibm || outcome.cause.is_some() || element.signalled => {
                Self::Code(128 + signal)
            }
            // "command STRING whose own shell dies (`bsub 'kill -9 $$'`, `bsub 'exec ./killed.sh'`) |
            // **DONE, exit 0** (openlava wrapper quirk [...])"
            How::Signalled(_) => Self::Done,
        })
    }

    /// Returns the sentence of `bjobs -l` and of the report: "`Exited with exit code 4.`, `Exited by
    /// signal 9.`, `Done successfully.`, or `Exited` alone (killed while pending)".
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Done => "Done successfully.".to_owned(),
            Self::Code(code) => format!("Exited with exit code {code}."),
            Self::Signal(signal) => format!("Exited by signal {signal}."),
            Self::Unstarted => "Exited".to_owned(),
        }
    }

    /// Returns the code that `exit(ID, CODE)` and the field `exit_code` mean.
    pub(super) fn code(self) -> Option<i32> {
        match self {
            Self::Done => Some(0),
            Self::Code(code) => Some(code),
            Self::Signal(signal) => Some(128 + signal),
            Self::Unstarted => None,
        }
    }
}

/// Returns the state: "STAT: PEND, PSUSP (held, `bsub -H`), RUN, USUSP, SSUSP, DONE, EXIT".
pub(super) fn state(dialect: Dialect, element: &Element) -> &'static str {
    match (element.state, Ending::of(dialect, element)) {
        (ElementState::Pending, _) if element.held => "PSUSP",
        (ElementState::Pending, _) => "PEND",
        (_, Some(Ending::Done)) => "DONE",
        (_, Some(_)) => "EXIT",
        _ if element.suspended => "USUSP",
        _ => "RUN",
    }
}

/// Returns IBM's reason for the end of an element. openlava has none: "No "TERM_RUNLIMIT" text in
/// openlava".
pub(super) fn reason(dialect: Dialect, element: &Element) -> Option<&'static str> {
    if dialect != Dialect::Lsf {
        return None;
    }
    // The words of `bacct -l` in IBM's "Termination reasons displayed by bacct, bhist and bjobs".
    Some(match element.outcome.as_ref()?.cause.as_ref()? {
        Cause::Limit => "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
        Cause::Deleted(_) => "TERM_OWNER: job killed by owner",
        Cause::Dependency => {
            "TERM_ORPHAN_SYSTEM: The orphan job was automatically terminated by LSF"
        }
        Cause::Memory => "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
    })
}
