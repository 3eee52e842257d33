//! What people want of a run that has been submitted: numbered files, outside the lease.

use std::io;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::{RunDir, create_exclusive};
use crate::elements::ElementSet;
use crate::workflow::TaskIndex;

/// Something that is wanted of a run. Requests are numbered from 0 and count in that order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// To cancel these elements, or the whole run where none are named.
    Cancel {
        /// The elements.
        what: Vec<Selection>,
    },
    /// To run elements again that ended without a value: these, or all where none are named.
    Retry {
        /// The elements.
        what: Vec<Selection>,
        /// How many updates of the workflow there were: who knows of fewer must not carry it out.
        updates: u32,
    },
}

/// Elements of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The task.
    pub task: TaskIndex,
    /// The elements, or none for all.
    pub elements: Option<ElementSet>,
}

impl Selection {
    /// Returns whether an element is meant.
    pub fn contains(&self, task: TaskIndex, element: u32) -> bool {
        self.task == task
            && self
                .elements
                .as_ref()
                .is_none_or(|elements| elements.contains(element))
    }
}

impl Request {
    /// Returns whether it cancels an element.
    pub fn cancels(&self, task: TaskIndex, element: u32) -> bool {
        match self {
            Self::Cancel { what } => {
                what.is_empty() || what.iter().any(|it| it.contains(task, element))
            }
            Self::Retry { .. } => false,
        }
    }

    /// Returns whether it cancels the whole run.
    pub fn cancels_all(&self) -> bool {
        matches!(self, Self::Cancel { what } if what.is_empty())
    }
}

impl RunDir {
    /// Records what is wanted under the next free number, and returns that.
    pub fn request(&self, request: &Request) -> io::Result<u32> {
        let bytes = serde_json::to_vec(request)?;
        fs::create_dir_all(self.inside("requests"))?;
        let mut number = self.request_numbers()?.last().map_or(0, |last| last + 1);
        loop {
            let path = self.inside("requests").join(number.to_string());
            crate::fault::reach("request/create");
            if create_exclusive(&path, &bytes)? {
                return Ok(number);
            }
            number += 1;
        }
    }

    /// Returns the requests from number `from` on, by number; a file that cannot be understood is no
    /// request.
    pub fn requests_since(&self, from: u32) -> io::Result<Vec<(u32, Option<Request>)>> {
        let mut requests = Vec::new();
        for number in self.request_numbers()? {
            if number >= from {
                let bytes = fs::read(self.inside("requests").join(number.to_string()))?;
                let request = serde_json::from_slice(&bytes).map_err(|error| {
                    tracing::warn!(number, %error, "a request cannot be understood and is passed over");
                });
                requests.push((number, request.ok()));
            }
        }
        Ok(requests)
    }

    /// Returns the numbers of all requests, ascending. By listing the directory, which shows what other
    /// nodes have made.
    fn request_numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        let entries = match fs::read_dir(self.inside("requests")) {
            // A run of an earlier version has no such directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(numbers),
            entries => entries?,
        };
        for entry in entries {
            if let Some(number) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::testing::empty_run;

    #[test]
    fn requests_count_in_the_order_in_which_they_were_made() {
        let keep = tempfile::tempdir().unwrap();
        let dir = empty_run(&keep.path().join("run"));
        let part = Request::Cancel {
            what: vec![Selection {
                task: TaskIndex(1),
                elements: Some(ElementSet::range(2, 4)),
            }],
        };
        let all = Request::Cancel { what: Vec::new() };
        let retry = Request::Retry {
            what: Vec::new(),
            updates: 0,
        };
        let made = [&part, &all, &retry];
        for (number, request) in (0..).zip(made) {
            assert_eq!(dir.request(request).unwrap(), number);
        }
        let read = dir.requests_since(1).unwrap();
        assert_eq!(read, [(1, Some(all.clone())), (2, Some(retry.clone()))]);
        assert!(part.cancels(TaskIndex(1), 3) && !part.cancels(TaskIndex(1), 4));
        assert!(!part.cancels(TaskIndex(0), 3) && !part.cancels_all());
        assert!(all.cancels(TaskIndex(0), 0) && all.cancels_all());
        assert!(!retry.cancels(TaskIndex(0), 0));
    }

    #[test]
    fn a_file_that_is_no_request_is_passed_over() {
        let keep = tempfile::tempdir().unwrap();
        let dir = empty_run(&keep.path().join("run"));
        fs::write(dir.inside("requests").join("0"), b"\xffnothing").unwrap();
        fs::write(dir.inside("requests").join("notes.txt"), b"mine").unwrap();
        assert_eq!(dir.requests_since(0).unwrap(), [(0, None)]);
        let all = Request::Cancel { what: Vec::new() };
        assert_eq!(dir.request(&all).unwrap(), 1);
    }
}
