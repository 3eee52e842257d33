use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Clock;
use crate::journal::{Liveness, SystemLiveness};

/// What the engine asks of the world around it, so that tests can be that world.
#[derive(Debug, Clone)]
pub struct Services {
    /// The wall clock.
    pub clock: Clock,
    /// The process table.
    pub liveness: Arc<dyn Liveness>,
    /// Told of every step of I/O.
    pub probe: Arc<dyn Probe>,
}

impl Services {
    /// Returns the services of the system.
    pub fn system() -> Self {
        Self {
            clock: Clock::system(),
            liveness: Arc::new(SystemLiveness),
            probe: Arc::new(FaultPoints),
        }
    }
}

/// Is told of every step of I/O: the place where tests kill, freeze and delay.
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync {
    /// Called before the step that is named.
    async fn reach(&self, point: &'static str);
}

/// A probe that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

#[async_trait]
impl Probe for NoProbe {
    async fn reach(&self, _point: &'static str) {}
}

/// The points of the engine as [`crate::fault`] points, so that a process can be killed there.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultPoints;

#[async_trait]
impl Probe for FaultPoints {
    async fn reach(&self, point: &'static str) {
        crate::fault::reach(point);
    }
}
