//! What client and supervisor say to each other.
//!
//! A frame is the length of what follows (32 bits, little-endian), the length of a JSON document, the
//! document, and bytes that it speaks of (the elements of arrays, see [`codec`](crate::codec)). The
//! supervisor speaks first, with [`Hello`]; then the client sends one [`Question`], and the supervisor
//! answers it. Only the user reaches the socket, and both ends are the same program or nearly so.

use std::io;

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{JobRequest, SchedulerErrorKind, Target};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The version of this protocol, raised when old clients would misunderstand new supervisors.
pub(crate) const VERSION: u32 = 1;

/// No frame is longer.
const LONGEST: u32 = 256 << 20;

/// The first word, from the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    pub(crate) instance: String,
}

/// One question.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    Submit(Box<JobRequest>),
    Status(Vec<JobId>),
    Cancel(Vec<Target>),
    Find(Vec<Tag>),
    Stop { force: bool },
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Submitted(JobId),
    /// The elements of all jobs with a head follow as bytes, in this order.
    Status {
        node: String,
        jobs: Vec<Option<Head>>,
    },
    Done,
    Found(Vec<Vec<JobId>>),
    /// What is still running or pending, so that the supervisor goes on.
    Open {
        running: u64,
        pending: u64,
    },
    Refused {
        kind: SchedulerErrorKind,
        message: String,
    },
}

/// What is told of a job apart from its elements.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) is_array: bool,
    /// Why pending elements wait.
    pub(crate) reason: Option<String>,
    /// Whether they wait for more than the machine has.
    pub(crate) never: bool,
    /// Remarks about ended elements.
    pub(crate) notes: Vec<(u32, String)>,
}

/// Writes one frame.
pub(crate) async fn write<T: Serialize>(
    stream: &mut (impl AsyncWriteExt + Unpin),
    document: &T,
    bytes: &[u8],
) -> io::Result<()> {
    let document = serde_json::to_vec(document)?;
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the message is too long");
    let total = u32::try_from(4 + document.len() + bytes.len()).map_err(|_| too_long())?;
    if total > LONGEST {
        return Err(too_long());
    }
    let mut frame = Vec::with_capacity(total as usize + 4);
    frame.extend_from_slice(&total.to_le_bytes());
    frame.extend_from_slice(&(document.len() as u32).to_le_bytes());
    frame.extend_from_slice(&document);
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).await
}

/// Reads one frame. What is not of this form is [`io::ErrorKind::InvalidData`].
pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncReadExt + Unpin),
) -> io::Result<(T, Vec<u8>)> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let total = stream.read_u32_le().await?;
    if !(4..=LONGEST).contains(&total) {
        return Err(invalid("the length of a message makes no sense"));
    }
    // Grows with what really arrives, not with what the length claims.
    let mut frame = Vec::new();
    let mut limited = stream.take(u64::from(total));
    limited.read_to_end(&mut frame).await?;
    if frame.len() != total as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = frame.split_off(4);
    let mut length = [0; 4];
    length.copy_from_slice(&frame);
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes.len() {
        return Err(invalid("a message is shorter than it says"));
    }
    let tail = bytes.split_off(length);
    let document = serde_json::from_slice(&bytes)
        .map_err(|error| invalid(&format!("a message could not be read: {error}")))?;
    Ok((document, tail))
}
