//! Sets of element indices, as sorted ranges.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of element indices of one task, kept as sorted, disjoint, non-adjacent ranges.
///
/// A million elements in a row cost one range. Serialised as a list of `[first, count]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ElementSet {
    /// First and one past the last of each range.
    ranges: Vec<(u32, u32)>,
}

impl ElementSet {
    /// Returns the empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Returns `first..end`.
    pub fn range(first: u32, end: u32) -> Self {
        Self {
            ranges: if first < end {
                vec![(first, end)]
            } else {
                Vec::new()
            },
        }
    }

    /// Returns the elements of ranges, each its first and one past its last, in any order.
    pub fn from_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.retain(|(first, end)| first < end);
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, end) in ranges {
            match joined.last_mut() {
                Some((_, last)) if first <= *last => *last = end.max(*last),
                _ => joined.push((first, end)),
            }
        }
        Self { ranges: joined }
    }

    /// Adds an element; cheapest in ascending order.
    pub fn insert(&mut self, element: u32) {
        match self.ranges.last_mut() {
            Some((_, end)) if *end == element => *end += 1,
            Some((_, end)) if *end > element => {
                if !self.contains(element) {
                    let mut all: Vec<u32> = self.iter().collect();
                    all.push(element);
                    all.sort_unstable();
                    *self = all.into_iter().collect();
                }
            }
            _ => self.ranges.push((element, element + 1)),
        }
    }

    /// Returns the number of elements.
    pub fn len(&self) -> u32 {
        self.ranges.iter().map(|(first, end)| end - first).sum()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns whether `element` is in the set.
    pub fn contains(&self, element: u32) -> bool {
        self.ranges
            .binary_search_by(|(first, end)| {
                if element < *first {
                    std::cmp::Ordering::Greater
                } else if element >= *end {
                    std::cmp::Ordering::Less
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok()
    }

    /// Returns the elements in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|(first, end)| *first..*end)
    }

    /// Returns the ranges, each as its first element and one past its last.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Returns the element at `position` in ascending order.
    pub fn nth(&self, position: u32) -> Option<u32> {
        let mut left = position;
        for (first, end) in &self.ranges {
            if left < end - first {
                return Some(first + left);
            }
            left -= end - first;
        }
        None
    }

    /// Returns how many elements are below `element`: its position, where it is in the set.
    pub fn rank(&self, element: u32) -> u32 {
        self.ranges
            .iter()
            .take_while(|(first, _)| *first < element)
            .map(|(first, end)| (*end).min(element) - first)
            .sum()
    }

    /// Returns the lowest element.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|(first, _)| *first)
    }

    /// Returns whether the two sets have an element in common.
    pub fn intersects(&self, other: &Self) -> bool {
        let (mut a, mut b) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        while let (Some((a_first, a_end)), Some((b_first, b_end))) = (a.peek(), b.peek()) {
            if a_first < b_end && b_first < a_end {
                return true;
            }
            if a_end <= b_end {
                a.next()
            } else {
                b.next()
            };
        }
        false
    }

    /// Returns the elements of `first..end`, each less `first`.
    #[must_use]
    pub fn window(&self, first: u32, end: u32) -> Self {
        let ranges = self.ranges.iter();
        let cut = ranges.map(|(low, high)| ((*low).max(first), (*high).min(end)));
        Self {
            ranges: cut
                .filter(|(low, high)| low < high)
                .map(|(low, high)| (low - first, high - first))
                .collect(),
        }
    }

    /// Splits the set into parts of at most `most` elements, in order.
    pub fn chunks(&self, most: u32) -> Vec<Self> {
        let most = most.max(1);
        let mut parts = Vec::new();
        let mut part = Self::new();
        let mut size = 0;
        for (first, end) in &self.ranges {
            let mut first = *first;
            while first < *end {
                let take = (most - size).min(end - first);
                part.ranges.push((first, first + take));
                size += take;
                first += take;
                if size == most {
                    parts.push(std::mem::take(&mut part));
                    size = 0;
                }
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
        parts
    }
}

impl FromIterator<u32> for ElementSet {
    /// Collects elements given in ascending order.
    fn from_iter<I: IntoIterator<Item = u32>>(elements: I) -> Self {
        let mut set = Self::new();
        for element in elements {
            set.insert(element);
        }
        set
    }
}

impl Serialize for ElementSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.ranges.iter().map(|(first, end)| [*first, end - first]))
    }
}

impl<'de> Deserialize<'de> for ElementSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let pairs: Vec<[u32; 2]> = Vec::deserialize(from)?;
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(pairs.len());
        for [first, count] in pairs {
            let end = first
                .checked_add(count)
                .ok_or_else(|| serde::de::Error::custom("a range is too long"))?;
            if count == 0 || ranges.last().is_some_and(|(_, last)| first < *last) {
                return Err(serde::de::Error::custom(
                    "ranges are not sorted and disjoint",
                ));
            }
            ranges.push((first, end));
        }
        Ok(Self { ranges })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_what_a_sorted_list_is(mut list in prop::collection::vec(0u32..200, 0..80), most in 1u32..20) {
            let mut set = ElementSet::new();
            for element in &list {
                set.insert(*element);
            }
            list.sort_unstable();
            list.dedup();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(set.len() as usize, list.len());
            for (position, element) in list.iter().enumerate() {
                prop_assert_eq!(set.nth(u32::try_from(position).unwrap()), Some(*element));
                prop_assert_eq!(set.rank(*element) as usize, position);
            }
            for element in 0..200 {
                prop_assert_eq!(set.contains(element), list.binary_search(&element).is_ok());
            }
            let single = list.iter().rev().map(|element| (*element, element + 1)).collect();
            prop_assert_eq!(&ElementSet::from_ranges(single), &set);
            let parts = set.chunks(most);
            prop_assert!(parts.iter().all(|part| part.len() <= most));
            prop_assert_eq!(parts.iter().flat_map(ElementSet::iter).collect::<Vec<_>>(), list.clone());
            let window: Vec<u32> = list.iter().filter(|e| (most..most + 50).contains(*e)).map(|e| e - most).collect();
            prop_assert_eq!(set.window(most, most + 50).iter().collect::<Vec<_>>(), window);
            let text = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<ElementSet>(&text).unwrap(), set);
        }
    }
}
