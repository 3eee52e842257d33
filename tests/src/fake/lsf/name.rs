//! Job names and the arrays in them: `-J "name[list]%limit"`.

use crate::fake::Array;

/// The longest list of indices, by IBM's page on job arrays.
const LONGEST_LIST: usize = 255;

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameFault {
    /// It is no name with a list of indices.
    Bad,
    /// An index is beyond the limit of the cluster.
    TooLarge,
}

impl NameFault {
    /// Returns the words of `bsub`, without `Job not submitted`.
    pub(super) fn text(self) -> &'static str {
        match self {
            // "`-J "a[0-3]"` | `Bad job name. Job not submitted.` - index 0 forbidden", and the same
            // for `e[5-1]` and `e[1-3`.
            Self::Bad => "Bad job name",
            // "`-J "g[1-1001]"`, `-J "g2[1000000]"` | `Job array index too large. Job not submitted.` -
            // the limit is on the INDEX, not only the count".
            Self::TooLarge => "Job array index too large",
        }
    }
}

/// Reads what `-J` was given: the name without indices, and the array.
pub(super) fn read_name(text: &str, largest: u32) -> Result<(String, Option<Array>), NameFault> {
    let Some((name, rest)) = text.split_once('[') else {
        return Ok((text.to_owned(), None));
    };
    let (list, after) = rest.split_once(']').ok_or(NameFault::Bad)?;
    let limit = match after.strip_prefix('%') {
        // "`-J "h[1-3]%0"` | ACCEPTED and pends for ever".
        Some(limit) => Some(limit.trim().parse().map_err(|_| NameFault::Bad)?),
        None if after.is_empty() => None,
        None => return Err(NameFault::Bad),
    };
    if list.len() > LONGEST_LIST {
        return Err(NameFault::Bad);
    }
    let indices = read_indices(list, Some(largest))?;
    let array = Array {
        indices,
        written: list.to_owned(),
        limit,
    };
    Ok((name.to_owned(), Some(array)))
}

/// Reads a list of indices: "`-J "d[1,3,5-9:2]%1"` | indices 1 3 5 7 9 (comma lists, ranges with step)".
/// Ascending, none twice.
pub(super) fn read_indices(list: &str, largest: Option<u32>) -> Result<Vec<u32>, NameFault> {
    let number = |text: &str| -> Result<u32, NameFault> {
        let number = text.trim().parse::<u64>().map_err(|_| NameFault::Bad)?;
        match u32::try_from(number) {
            Ok(0) => Err(NameFault::Bad),
            Ok(number) if largest.is_none_or(|largest| number <= largest) => Ok(number),
            _ => Err(NameFault::TooLarge),
        }
    };
    let mut indices = Vec::new();
    for part in list.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let step: u32 = step.trim().parse().map_err(|_| NameFault::Bad)?;
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        if step == 0 || first > last {
            return Err(NameFault::Bad);
        }
        indices.extend((first..=last).step_by(step as usize));
    }
    indices.sort_unstable();
    indices.dedup();
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(text: &str) -> Result<Vec<u32>, NameFault> {
        read_name(text, 1000).map(|(_, array)| array.map_or(Vec::new(), |array| array.indices))
    }

    #[test]
    fn lists_are_read_as_observed() {
        assert_eq!(array("a[1-4]"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(array("d[1,3,5-9:2]%1"), Ok(vec![1, 3, 5, 7, 9]));
        assert_eq!(array("c[3]"), Ok(vec![3]));
        assert_eq!(array("f[1-1000]").map(|indices| indices.len()), Ok(1000));
        let limit = |text| read_name(text, 1000).unwrap().1.unwrap().limit;
        assert_eq!(limit("b[1-4]%2"), Some(2));
        assert_eq!(limit("h[1-3]%0"), Some(0));
        assert_eq!(limit("a[1-4]"), None);
        assert_eq!(read_name("a/b:c.d", 1000), Ok(("a/b:c.d".to_owned(), None)));
    }

    #[test]
    fn refusals_are_those_observed() {
        for bad in [
            "a[0-3]", "e[5-1]", "e[1-3", "a[]", "a[x]", "a[1-3]x", "a[1-3]%x",
        ] {
            assert_eq!(array(bad), Err(NameFault::Bad), "{bad}");
        }
        for large in ["g[1-1001]", "g2[1000000]", "g[99999999999]"] {
            assert_eq!(array(large), Err(NameFault::TooLarge), "{large}");
        }
        let long = vec!["1"; 200].join(",");
        assert_eq!(array(&format!("l[{long}]")), Err(NameFault::Bad));
    }
}
