//! What differs in the results that the elements of a task are given.

use std::collections::{BTreeSet, HashMap};

use super::Reason;
use crate::elements::ElementSet;
use crate::id::TaskName;
use crate::identity::Digest;
use crate::workflow::{Delivery, Items};

/// What one parameter is given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) parameter: String,
    pub(super) delivery: Delivery,
    pub(super) sources: Vec<SourceItems>,
}

/// What one upstream task gives.
#[derive(Debug, Clone)]
pub(super) struct SourceItems {
    pub(super) upstream: TaskName,
    pub(super) kind: Items,
    /// Whether there will be no more of them.
    pub(super) is_complete: bool,
    /// Each with the element of the upstream task that it is of; none where it has no value.
    pub(super) items: Vec<(u32, Option<Digest>)>,
}

impl SourceItems {
    /// Returns what people call an item: the index of the element, or of the entry of a single task's list.
    fn place(&self, item: usize) -> Option<u32> {
        match self.kind {
            Items::One => None,
            Items::List => Some(item as u32),
            Items::Elements | Items::Flatten => self.items.get(item).map(|(element, _)| *element),
        }
    }

    fn count(&self) -> u32 {
        match self.kind {
            // Of lists of lists, people count the elements that returned them.
            Items::Flatten => self.items.last().map_or(0, |(element, _)| element + 1),
            _ => self.items.len() as u32,
        }
    }

    fn has_new(&self, items: impl IntoIterator<Item = usize>) -> Reason {
        let places: Option<ElementSet> = items.into_iter().map(|item| self.place(item)).collect();
        Reason::UpstreamValue {
            upstream: self.upstream.clone(),
            items: places,
        }
    }
}

impl Given {
    /// Returns the source of an item, and which of its items that is.
    fn source_of(&self, item: usize) -> Option<(usize, usize)> {
        let mut rest = item;
        for (position, source) in self.sources.iter().enumerate() {
            if rest < source.items.len() {
                return Some((position, rest));
            }
            rest -= source.items.len();
        }
        None
    }

    fn len(&self) -> usize {
        self.sources.iter().map(|source| source.items.len()).sum()
    }

    fn items(&self) -> impl Iterator<Item = Option<Digest>> {
        let sources = self.sources.iter();
        sources.flat_map(|source| source.items.iter().map(|(_, digest)| *digest))
    }
}

/// What differs in what the elements of a task are given.
#[derive(Debug, Clone, Default)]
pub(super) struct InputDifferences {
    /// For all elements.
    pub(super) whole: Vec<Reason>,
    /// The parameters that give each element one item, with the items before.
    spread: Vec<(Given, Option<Given>)>,
    /// Elements of before, by what they were given.
    peers: HashMap<Vec<Option<Digest>>, Vec<u32>>,
}

/// What differs for one element.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ItemDifference {
    /// Nothing: the element before that was given the same.
    Peer(u32),
    /// This.
    Reasons(Vec<Reason>),
}

/// Compares what the elements of a task are given with what they were given before.
pub(super) fn differences(before: &[Given], after: Vec<Given>) -> InputDifferences {
    let mut found = InputDifferences::default();
    for given in after {
        let old = before
            .iter()
            .find(|old| old.parameter == given.parameter && old.delivery == given.delivery);
        let unknown = given.sources.iter().find(|source| !source.is_complete);
        match (given.delivery, unknown, old) {
            (Delivery::Spread, ..) => found.spread.push((given, old.cloned())),
            (_, Some(unknown), _) => found.whole.push(Reason::UpstreamFirst {
                upstream: unknown.upstream.clone(),
            }),
            (_, None, Some(old)) => found.whole.extend(whole(old, &given)),
            // A parameter that is new is a difference of the task.
            (_, None, None) => {}
        }
    }
    let old: Vec<Vec<Option<Digest>>> = found
        .spread
        .iter()
        .filter_map(|(_, old)| Some(old.as_ref()?.items().collect()))
        .collect();
    let count = old.iter().map(Vec::len).min().unwrap_or(0);
    for element in 0..count {
        let tuple = old.iter().map(|items| items[element]).collect();
        let peers: &mut Vec<u32> = found.peers.entry(tuple).or_default();
        peers.push(element as u32);
    }
    found
}

/// Returns what differs where the items are given as a whole.
fn whole(before: &Given, after: &Given) -> Vec<Reason> {
    if before.items().eq(after.items()) {
        return Vec::new();
    }
    let mut reasons = counts(before, after);
    if reasons.is_empty() && before.sources.len() == after.sources.len() {
        let sorted = |given: &Given| {
            let mut digests: Vec<_> = given.items().collect();
            digests.sort_unstable();
            digests
        };
        if sorted(before) == sorted(after)
            && let [source] = &after.sources[..]
        {
            return vec![Reason::UpstreamOrder {
                upstream: source.upstream.clone(),
            }];
        }
    }
    for (position, source) in after.sources.iter().enumerate() {
        let Some(old) = before.sources.get(position) else {
            continue;
        };
        if old.items.len() == source.items.len() {
            let pairs = old.items.iter().zip(&source.items).enumerate();
            let differing = pairs.filter(|(_, (old, new))| old.1 != new.1);
            let differing: Vec<usize> = differing.map(|(item, _)| item).collect();
            if !differing.is_empty() {
                reasons.push(source.has_new(differing));
            }
        } else if old.count() == source.count() {
            // Lists of other lengths, of as many elements.
            reasons.push(Reason::UpstreamValue {
                upstream: source.upstream.clone(),
                items: None,
            });
        }
    }
    reasons
}

fn counts(before: &Given, after: &Given) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (position, source) in after.sources.iter().enumerate() {
        let old = before.sources.get(position).map_or(0, SourceItems::count);
        if old != source.count() {
            reasons.push(Reason::UpstreamCount {
                upstream: source.upstream.clone(),
                before: old,
                after: source.count(),
            });
        }
    }
    reasons
}

impl InputDifferences {
    /// Returns in how many parts what the elements are given differs, at most.
    pub(super) fn parts(&self, elements: impl IntoIterator<Item = u32>) -> usize {
        let mut differ = BTreeSet::new();
        for element in elements {
            if let ItemDifference::Reasons(_) = self.of(element) {
                for (position, (given, old)) in self.spread.iter().enumerate() {
                    if is_new(given, old.as_ref(), element) {
                        differ.insert(position);
                    }
                }
                if differ.len() == self.spread.len() {
                    break;
                }
            }
        }
        self.whole.len() + differ.len()
    }

    /// Returns what differs for one element.
    pub(super) fn of(&self, element: u32) -> ItemDifference {
        let mut reasons = Vec::new();
        let mut tuple = Vec::with_capacity(self.spread.len());
        for (given, old) in &self.spread {
            let item = given.source_of(element as usize);
            let Some((source, item)) = item else {
                continue;
            };
            let source = &given.sources[source];
            let digest = source.items[item].1;
            if digest.is_none() && !source.is_complete {
                reasons.push(Reason::UpstreamFirst {
                    upstream: source.upstream.clone(),
                });
            }
            if old.is_some() {
                tuple.push(digest);
            }
        }
        if !reasons.is_empty() {
            return ItemDifference::Reasons(reasons);
        }
        if tuple.is_empty() {
            return ItemDifference::Peer(element);
        }
        if let Some(peers) = self.peers.get(&tuple) {
            let same = peers.binary_search(&element).is_ok();
            return ItemDifference::Peer(if same { element } else { peers[0] });
        }
        for (given, old) in &self.spread {
            if let (true, Some((source, item))) = (
                is_new(given, old.as_ref(), element),
                given.source_of(element as usize),
            ) {
                let counted = old.as_ref().filter(|old| element as usize >= old.len());
                let counted = counted.map(|old| counts(old, given));
                let counted = counted.and_then(|mut counts| {
                    let of = &given.sources[source].upstream;
                    counts.retain(
                        |it| matches!(it, Reason::UpstreamCount { upstream, .. } if upstream == of),
                    );
                    counts.pop()
                });
                reasons.push(counted.unwrap_or_else(|| given.sources[source].has_new([item])));
            }
        }
        if reasons.is_empty() {
            return ItemDifference::Peer(element);
        }
        ItemDifference::Reasons(reasons)
    }
}

/// Returns whether the item of an element is another than before.
fn is_new(given: &Given, old: Option<&Given>, element: u32) -> bool {
    let item = |given: &Given| {
        let (source, item) = given.source_of(element as usize)?;
        Some(given.sources[source].items[item].1)
    };
    old.is_some_and(|old| item(old) != item(given))
}
