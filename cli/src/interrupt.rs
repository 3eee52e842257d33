use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{CliError, Kind};

/// Ctrl-C and the polite request to end, from when this is made: what is under way is tidied up first.
#[derive(Debug)]
pub(crate) struct Interrupt {
    keyboard: Signal,
    request: Signal,
}

impl Interrupt {
    pub(crate) fn new() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                CliError::from_error(Kind::Fault, &error).doing("signals cannot be received")
            })
        };
        Ok(Self {
            keyboard: listen(SignalKind::interrupt())?,
            request: listen(SignalKind::terminate())?,
        })
    }

    /// Returns when one has come.
    pub(crate) async fn came(&mut self) {
        tokio::select! {
            _ = self.keyboard.recv() => {}
            _ = self.request.recv() => {}
        }
    }
}
