//! Ids of jobs: "`123.server`, array `123[].server`, element `123[4].server`. Commands accept the short
//! form (`123`, `123[]`, `123[4]`)".

use crate::fake::{Job, Target};

/// An id as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id {
    /// The number of the job.
    pub(super) number: u64,
    /// What stands in brackets; none without brackets.
    pub(super) part: Option<Part>,
}

/// What stands in the brackets of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// `[]`: the array.
    Whole,
    /// `[4]`, `[1-2]`, `[1-9:2,12]`: some of its elements.
    Indices(Vec<u32>),
}

impl Id {
    /// Reads one, with or without a server.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.split('@').next()?;
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = text[..digits].parse().ok()?;
        let rest = &text[digits..];
        let (part, rest) = match rest.strip_prefix('[') {
            None => (None, rest),
            Some(rest) => {
                let (inside, rest) = rest.split_once(']')?;
                let part = if inside.is_empty() {
                    Part::Whole
                } else {
                    Part::Indices(indices(inside)?)
                };
                (Some(part), rest)
            }
        };
        (rest.is_empty() || rest.starts_with('.')).then_some(Self { number, part })
    }

    /// Whether it names `job`: an array only with brackets, and a plain one only without.
    pub(super) fn names(&self, job: &Job) -> bool {
        self.number == job.number && self.part.is_some() == job.is_array()
    }

    /// Returns what it names.
    pub(super) fn target(&self) -> Target {
        Target {
            job: self.number,
            indices: match &self.part {
                Some(Part::Indices(indices)) => Some(indices.clone()),
                Some(Part::Whole) | None => None,
            },
        }
    }
}

fn indices(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for range in text.split(',') {
        let (range, step) = match range.split_once(':') {
            Some((range, step)) => (range, step.parse().ok()?),
            None => (range, 1),
        };
        let (first, last): (u32, u32) = match range.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        if step == 0 || last - first.min(last) > 1_000_000 {
            return None;
        }
        all.extend((first..=last).step_by(step));
    }
    Some(all)
}

/// Returns the id of a job, without the server.
pub(super) fn short(job: &Job) -> String {
    let brackets = if job.is_array() { "[]" } else { "" };
    format!("{}{brackets}", job.number)
}

/// Returns the id of a job.
pub(super) fn of_job(job: &Job, server: &str) -> String {
    format!("{}.{server}", short(job))
}

/// Returns the id of an element; of the job, when it is plain.
pub(super) fn of_element(job: &Job, position: usize, server: &str) -> String {
    match job.elements[position].index {
        Some(index) => format!("{}[{index}].{server}", job.number),
        None => of_job(job, server),
    }
}

/// Returns an id as clients complain about it: with the server.
pub(super) fn full(text: &str, server: &str) -> String {
    if text.contains('.') {
        text.to_owned()
    } else {
        format!("{text}.{server}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Option<Part> {
        Id::parse(text).unwrap().part
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(part("12"), None);
        assert_eq!(part("12.localhost"), None);
        assert_eq!(part("12[]"), Some(Part::Whole));
        assert_eq!(part("12[].a.b.c"), Some(Part::Whole));
        assert_eq!(part("12[4].localhost"), Some(Part::Indices(vec![4])));
        assert_eq!(part("12[1-5:2,9]"), Some(Part::Indices(vec![1, 3, 5, 9])));
        for wrong in ["", "x", "12[", "12[]x", "[1]", "12[x]", "12[1-5:0]"] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }
}
