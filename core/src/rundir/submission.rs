use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ValueRef, Verify, publish};
use crate::elements::ElementSet;
use crate::id::{ParameterName, Tag, WorkflowName};
use crate::identity::Digest;
use crate::results::ValueDigests;
use crate::workflow::{Delivery, Items, TaskDescription, TaskIndex, Type};

const MAGIC: &[u8; 8] = b"reflows1";

/// What the jobs of one submission run, apart from the list of its elements.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmissionHeader {
    /// The submission.
    pub tag: Tag,
    /// The workflow.
    pub workflow: WorkflowName,
    /// The task.
    pub task: TaskIndex,
    /// What the user declared of it.
    pub description: TaskDescription,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The elements it carries.
    pub elements: SubmissionElements,
    /// Elements in one array index, run one after another.
    pub batch: u32,
    /// Values of plain parameters.
    pub plain: Map<String, Value>,
    /// Parameters that take the run directory.
    pub run_dir_parameters: Vec<ParameterName>,
    /// How the other parameters are put together.
    pub inputs: Vec<InputPlan>,
    /// Where the results of upstream tasks are.
    pub upstream: Vec<UpstreamPlan>,
    /// Tasks that must have succeeded as a whole, without data.
    pub after: Vec<TaskIndex>,
    /// How long a file written on one node may take to be seen here, in milliseconds.
    pub latency_ms: u64,
    /// Whether the worker plans the run again when it has ended: its result fixes a width, or
    /// it is the last.
    #[serde(default)]
    pub plans: bool,
    /// Whether an element that fails is tried again: the worker then plans the run again.
    #[serde(default)]
    pub is_retried: bool,
    /// How many requests had been carried out when it was planned: a cancellation among them is not
    /// about it.
    #[serde(default)]
    pub requests: u32,
    /// How the identities of the elements are computed, and where earlier results are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CachePlan>,
}

/// What a worker needs to know to compute identities, and to look for earlier results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CachePlan {
    /// The digest of the task.
    pub task: Digest,
    /// The store, where elements are looked for that had no identity when they were planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// What is asked of a remembered value.
    pub verify: Verify,
    /// The user's files among the plain parameters, and what was noted when their content was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, String)>,
}

/// The elements of a submission, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionElements {
    /// In a row.
    Row {
        /// The first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Listed behind the header.
    Listed {
        /// How many.
        count: u32,
    },
}

impl SubmissionElements {
    /// Returns the number of elements.
    pub fn count(self) -> u32 {
        match self {
            Self::Row { count, .. } | Self::Listed { count } => count,
        }
    }
}

/// How the value of one parameter is put together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputPlan {
    /// The parameter.
    pub parameter: ParameterName,
    /// What becomes of the items.
    pub delivery: Delivery,
    /// Where the items are, in order.
    pub sources: Vec<SourcePlan>,
}

/// Where the items of one source are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourcePlan {
    /// A value that was known when the submission was planned.
    Known {
        /// The value.
        value: ValueRef,
        /// Whether its entries are the items, and not itself.
        list: bool,
        /// The type of what the items are: of the entries of a list, or of the value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ty: Option<Type>,
        /// Its digests, where they are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digests: Option<ValueDigests>,
    },
    /// Results of an upstream task, read by the worker.
    Upstream {
        /// The task.
        task: TaskIndex,
        /// How its results become items.
        items: Items,
        /// The number of its elements.
        width: u32,
    },
}

/// Where the results of an upstream task are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpstreamPlan {
    /// The task.
    pub task: TaskIndex,
    /// Its name, for messages.
    pub name: String,
    /// The number of its elements.
    pub width: u32,
    /// The submissions that carry them, each element in one.
    pub parts: Vec<UpstreamPart>,
    /// What each element returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Type>,
}

/// A submission of an upstream task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpstreamPart {
    /// The submission.
    pub tag: Tag,
    /// The elements whose newest try it carries.
    pub elements: ElementSet,
    /// Its position of each element is not the element itself: all elements of the submission.
    pub all: ElementSet,
    /// Elements in one array index.
    pub batch: u32,
}

/// An open submission file.
#[derive(Debug)]
pub struct SubmissionFile {
    file: fs::File,
    /// The header.
    pub header: SubmissionHeader,
    list_offset: u64,
}

impl SubmissionFile {
    /// Writes the file of a submission.
    pub fn write(path: &Path, header: &SubmissionHeader, elements: &ElementSet) -> io::Result<()> {
        let json = serde_json::to_vec(header)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&json);
        if matches!(header.elements, SubmissionElements::Listed { .. }) {
            for element in elements.iter() {
                bytes.extend_from_slice(&element.to_le_bytes());
            }
        }
        crate::fault::reach("submission/write");
        publish(path, &bytes)
    }

    /// Returns how `elements` are kept in the file.
    pub fn describe(elements: &ElementSet) -> SubmissionElements {
        match elements.ranges() {
            [(first, end)] => SubmissionElements::Row {
                first: *first,
                count: end - first,
            },
            _ => SubmissionElements::Listed {
                count: elements.len(),
            },
        }
    }

    /// Opens the file of a submission.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let invalid = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{}` is no submission file: {what}", path.display()),
            )
        };
        let mut start = [0; 12];
        file.file().read_exact_at(&mut start, 0)?;
        if &start[..8] != MAGIC {
            return Err(invalid("it starts with something else"));
        }
        let length = u32::from_le_bytes(start[8..].try_into().expect("four bytes"));
        let list_offset = 12 + u64::from(length);
        if file.metadata()?.len() < list_offset {
            return Err(invalid("it was cut short"));
        }
        let mut json = vec![0; length as usize];
        file.file().read_exact_at(&mut json, 12)?;
        let header = serde_json::from_slice(&json).map_err(|error| invalid(&error.to_string()))?;
        Ok(Self {
            file,
            header,
            list_offset,
        })
    }

    /// Returns the elements that array index `index` carries, reading no more than those.
    pub fn elements_of(&self, index: u32) -> io::Result<Vec<u32>> {
        let count = self.header.elements.count();
        let first = index.saturating_mul(self.header.batch).min(count);
        let end = first.saturating_add(self.header.batch).min(count);
        match self.header.elements {
            SubmissionElements::Row { first: base, .. } => Ok((base + first..base + end).collect()),
            SubmissionElements::Listed { .. } => {
                let mut bytes = vec![0; (end - first) as usize * 4];
                self.file
                    .file()
                    .read_exact_at(&mut bytes, self.list_offset + u64::from(first) * 4)?;
                Ok(bytes
                    .chunks_exact(4)
                    .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
                    .collect())
            }
        }
    }
}
