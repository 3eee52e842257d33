use std::process::ExitCode;

/// How the program ends. The numbers are part of the command line and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// The run failed or was cancelled, or what was looked at is not as it should be.
    RunFailed = 1,
    /// The request was wrong: usage, configuration, workflow, run directory.
    Request = 2,
    /// The batch system refused or could not be reached.
    Scheduler = 3,
    /// A fault of reflow itself.
    Fault = 70,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

impl Exit {
    /// All ways to end, with what each one means.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Done, "what was asked for is done"),
        (
            Self::RunFailed,
            "the run failed or was cancelled, a case of `backend check` failed, or `doctor` found a problem",
        ),
        (
            Self::Request,
            "the request was wrong: usage, configuration, workflow, run directory",
        ),
        (
            Self::Scheduler,
            "the batch system refused or could not be reached",
        ),
        (Self::Fault, "a fault of reflow itself"),
        (Self::Interrupted, "interrupted from the keyboard"),
    ];

    /// Returns the number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
