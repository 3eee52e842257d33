use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reflow_core::fault::reach;
use reflow_core::scheduler::SchedulerError;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::run::Event;
use crate::location::{Location, io_error};
use crate::protocol::{self, Hello, Question};

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the socket. The lock is held, so that a socket found there is one of the dead.
pub(super) fn listen(location: &Location) -> Result<UnixListener, SchedulerError> {
    let path = location.socket();
    reach("supervisor/remove-socket");
    match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error(&error)),
        _ => {}
    }
    reach("supervisor/listen");
    let listener = UnixListener::bind(&path).map_err(|error| io_error(&error))?;
    let private = std::fs::Permissions::from_mode(0o600);
    fs_err::set_permissions(&path, private).map_err(|error| io_error(&error))?;
    Ok(listener)
}

/// Accepts connections for ever; `connections` counts those that are open.
pub(super) async fn accept(
    listener: UnixListener,
    instance: String,
    events: mpsc::UnboundedSender<Event>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                reach("supervisor/accept");
                connections.fetch_add(1, Ordering::Relaxed);
                let (instance, events) = (instance.clone(), events.clone());
                let connections = connections.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, instance, events).await {
                        tracing::warn!("a connection was given up: {error}");
                    }
                    connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely.
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(
    mut stream: UnixStream,
    instance: String,
    events: mpsc::UnboundedSender<Event>,
) -> std::io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            format!("it came from user {peer}"),
        ));
    }
    let hello = Hello {
        version: protocol::VERSION,
        instance,
    };
    protocol::write(&mut stream, &hello, &[]).await?;
    let question =
        tokio::time::timeout(PATIENCE, protocol::read::<Question>(&mut stream)).await??;
    let (reply, answer) = oneshot::channel();
    if events.send(Event::Question(question.0, reply)).is_err() {
        return Ok(());
    }
    if let Ok((answer, bytes)) = answer.await {
        tokio::time::timeout(PATIENCE, protocol::write(&mut stream, &answer, &bytes)).await??;
    }
    Ok(())
}
