//! `-J` of OpenPBS. `-t` of Torque is in [`torque`](super::torque).

use crate::fake::{Array, Refusal};

/// What became of the value of `-J`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// An array.
    Array(Array),
    /// "`-J 0-1%1:2` (% before step): `qsub: Error (15014) submitting job`", by the server, exit 166.
    RefusedByServer,
}

/// Reads it. Nothing is "`qsub: illegal -J value` + usage", exit 2, as for "`-J 0-0`, `-J 5-5`, `-J 3`,
/// `-J 5-1`, `-J -1-3`, `-J 1,3,5`".
///
/// "`-J 5-6:2`, `-J 1-3:5`: accepted: a ONE-element array (5; 1)".
pub(super) fn parse(text: &str) -> Option<Written> {
    let (range, limit) = match text.split_once('%') {
        Some((range, limit)) => (range, Some(limit)),
        None => (text, None),
    };
    let (bounds, step) = match range.split_once(':') {
        Some((bounds, step)) => (bounds, number(step)?),
        None => (range, 1),
    };
    let (first, last) = bounds.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    if first >= last || step == 0 {
        return None;
    }
    let limit = match limit {
        None => None,
        Some(limit) => {
            if let Some((limit, step)) = limit.split_once(':') {
                number(limit)?;
                number(step)?;
                return Some(Written::RefusedByServer);
            }
            Some(number(limit)?)
        }
    };
    let indices = if u64::from(last - first) / u64::from(step) > 10_000_000 {
        // Beyond any limit of a server; not worth the room.
        (0..=10_000_000).collect()
    } else {
        (first..=last).step_by(step as usize).collect()
    };
    Some(Written::Array(Array {
        indices,
        written: range.to_owned(),
        limit,
    }))
}

/// Refuses too many elements: "`-J 0-10000`: `qsub: Array job exceeds server or queue size limit`, exit
/// 3"; "`-J 0-9999`: ok (10000 elements = default `max_array_size = 10000`)".
pub(super) fn check(array: &Array, most: u32) -> Result<(), Refusal> {
    if array.indices.len() > most as usize {
        return Err(Refusal {
            text: "Array job exceeds server or queue size limit".to_owned(),
            code: 3,
        });
    }
    Ok(())
}

/// Returns the refusal of [`Written::RefusedByServer`].
pub(super) fn refused() -> Refusal {
    Refusal {
        text: "Error (15014) submitting job".to_owned(),
        code: 166,
    }
}

fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Writes indices as `array_indices_remaining` does: `"3-5"`, `"1,4-9:3"`, or `"-"` for none.
pub(super) fn ranges(indices: &[u32], step: u32) -> String {
    if indices.is_empty() {
        return "-".to_owned();
    }
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &index in indices {
        match parts.last_mut() {
            Some((_, last)) if index == *last + step => *last = index,
            _ => parts.push((index, index)),
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else if step == 1 {
                format!("{first}-{last}")
            } else {
                format!("{first}-{last}:{step}")
            }
        })
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(text: &str) -> Vec<u32> {
        match parse(text) {
            Some(Written::Array(array)) => array.indices,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn forms_as_observed() {
        assert_eq!(indices("0-3"), [0, 1, 2, 3]);
        assert_eq!(indices("1-10:3"), [1, 4, 7, 10]);
        assert_eq!(indices("5-6:2"), [5]);
        assert_eq!(indices("1-3:5"), [1]);
        assert_eq!(indices("0-3:2%1"), [0, 2]);
        assert_eq!(parse("0-1%1:2"), Some(Written::RefusedByServer));
        for wrong in [
            "0-0", "5-5", "3", "5-1", "-1-3", "1,3,5", "", "0-3%x", "0-3:0",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_are_short() {
        assert_eq!(ranges(&[], 1), "-");
        assert_eq!(ranges(&[3, 4, 5], 1), "3-5");
        assert_eq!(ranges(&[1, 4, 7], 3), "1-7:3");
        assert_eq!(ranges(&[1, 3, 4], 1), "1,3-4");
    }
}
