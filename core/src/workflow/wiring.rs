//! How data flows along a wire, by the types at its two ends alone, never by lengths.

use super::{Delivery, Items, Type};

/// One end of a wire: a task that gives results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upstream<'a> {
    pub(super) array: bool,
    pub(super) returns: &'a Type,
}

/// The other end: a parameter that takes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Downstream<'a> {
    pub(super) array: bool,
    pub(super) takes: &'a Type,
    pub(super) concatenate: bool,
    pub(super) broadcast: bool,
}

/// Why a wire was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Position among the sources.
    pub(super) source: usize,
    pub(super) hint: Option<String>,
}

/// Infers how the items of `sources` (at least one) reach the parameter.
///
/// Where several readings fit, items are made as small as the parameter takes them: a list is taken
/// apart before it is handed over whole.
pub(super) fn infer(
    to: Downstream<'_>,
    sources: &[Upstream<'_>],
) -> Result<(Delivery, Vec<Items>), Refusal> {
    match sources {
        [source] if !to.concatenate => infer_one(to, *source).map(|(d, items)| (d, vec![items])),
        sources => infer_many(to, sources),
    }
}

fn infer_one(to: Downstream<'_>, from: Upstream<'_>) -> Result<(Delivery, Items), Refusal> {
    let whole = from.returns.assignable_to(to.takes);
    if !from.array && (!to.array || to.broadcast) {
        return if whole {
            Ok((Delivery::Direct, Items::One))
        } else {
            Err(refused(0, None))
        };
    }
    if to.array && !to.broadcast {
        if let Some(items) = items_of(from, to.takes, ListAsOne::No) {
            // A single value is one item only where several tasks are put together.
            if items != Items::One {
                return Ok((Delivery::Spread, items));
            }
        }
        if !from.array {
            return match from.returns {
                Type::List(_) if whole => Ok((Delivery::Direct, Items::One)),
                _ if whole => Err(refused(
                    0,
                    Some("fan out a list, or `broadcast`".to_owned()),
                )),
                _ => Err(refused(0, None)),
            };
        }
        let gathered = entry_taken(to.takes)
            .and_then(|entry| items_of(from, entry, ListAsOne::No))
            .map(|_| "set `broadcast` to give the gathered list to every element".to_owned());
        return Err(refused(0, gathered));
    }
    // An array into one value: the gathered list.
    let items = entry_taken(to.takes).and_then(|entry| items_of(from, entry, ListAsOne::No));
    match items {
        Some(items) => Ok((Delivery::Collect, items)),
        None if whole => Err(refused(
            0,
            Some(format!("collect with list[{}]", from.returns)),
        )),
        None => Err(refused(0, None)),
    }
}

fn infer_many(
    to: Downstream<'_>,
    sources: &[Upstream<'_>],
) -> Result<(Delivery, Vec<Items>), Refusal> {
    let all = |takes: &Type, list_as_one| {
        sources
            .iter()
            .enumerate()
            .map(|(position, source)| items_of(*source, takes, list_as_one).ok_or(position))
            .collect::<Result<Vec<_>, usize>>()
    };
    let entry = entry_taken(to.takes);
    let spread = (to.array && !to.broadcast).then(|| all(to.takes, ListAsOne::No));
    if let Some(Ok(items)) = spread {
        return Ok((Delivery::Spread, items));
    }
    let collected = entry.map(|entry| all(entry, ListAsOne::Yes));
    match (collected, spread) {
        (Some(Ok(items)), _) => Ok((Delivery::Collect, items)),
        (Some(Err(source)), _) | (None, Some(Err(source))) => Err(refused(source, None)),
        (None, _) => {
            let hint = sources
                .first()
                .map(|first| format!("collect with list[{}]", item_type(*first)));
            Err(refused(0, hint))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListAsOne {
    Yes,
    No,
}

/// How the results of a task become items of the type `takes`.
fn items_of(from: Upstream<'_>, takes: &Type, list_as_one: ListAsOne) -> Option<Items> {
    if let Some(entry) = from.returns.entry()
        && entry.assignable_to(takes)
    {
        return Some(if from.array {
            Items::Flatten
        } else {
            Items::List
        });
    }
    if !from.returns.assignable_to(takes) {
        return None;
    }
    if from.array {
        return Some(Items::Elements);
    }
    (from.returns.entry().is_none() || list_as_one == ListAsOne::Yes).then_some(Items::One)
}

fn item_type(from: Upstream<'_>) -> &Type {
    match from.returns.entry() {
        Some(entry) if !from.array => entry,
        _ => from.returns,
    }
}

/// The type of the entries, where the parameter takes a list.
fn entry_taken(takes: &Type) -> Option<&Type> {
    match takes {
        Type::Optional(inner) => entry_taken(inner),
        other => other.entry(),
    }
}

fn refused(source: usize, hint: Option<String>) -> Refusal {
    Refusal { source, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(text: &str) -> Type {
        text.parse().expect("a type")
    }

    fn wire(from: &str, to: &str) -> Result<(Delivery, Vec<Items>), Option<String>> {
        let ends = |text: &str| {
            let array = text.starts_with("array ");
            let ty = ty(text
                .trim_start_matches("array ")
                .trim_end_matches(" broadcast"));
            (array, ty, text.ends_with(" broadcast"))
        };
        let sources: Vec<_> = from.split(" + ").map(ends).collect();
        let upstream: Vec<_> = sources
            .iter()
            .map(|(array, returns, _)| Upstream {
                array: *array,
                returns,
            })
            .collect();
        let (array, takes, broadcast) = ends(to);
        let to = Downstream {
            array,
            takes: &takes,
            concatenate: sources.len() > 1,
            broadcast,
        };
        infer(to, &upstream).map_err(|refusal| refusal.hint)
    }

    #[test]
    fn the_table_of_modes() {
        use Delivery::{Collect, Direct, Spread};
        use Items::{Elements, Flatten, List, One};
        for (from, to, delivery, items) in [
            ("int", "float", Direct, One),
            ("list[int]", "array int", Spread, List),
            ("list[int]", "array list[int]", Direct, One),
            ("dict", "array dict broadcast", Direct, One),
            ("list[int]", "array list[float] broadcast", Direct, One),
            ("array int", "list[int]", Collect, Elements),
            ("array list[int]", "list[int]", Collect, Flatten),
            ("array list[int]", "list[list[int]]", Collect, Elements),
            ("array int", "array float", Spread, Elements),
            ("array list[int]", "array list[int]", Spread, Elements),
            ("array list[int]", "array int", Spread, Flatten),
            ("array int", "array list[int] broadcast", Collect, Elements),
            (
                "array list[int]",
                "array list[int] broadcast",
                Collect,
                Flatten,
            ),
            ("array int", "optional[list[int]]", Collect, Elements),
            // Where two readings fit, the smaller items.
            ("list[int]", "array json", Spread, List),
            ("list[list[int]]", "array list[int]", Spread, List),
            ("list[list[int]]", "array list[json]", Spread, List),
            ("array list[int]", "list[json]", Collect, Flatten),
            ("array list[json]", "list[json]", Collect, Flatten),
            ("array list[json]", "list[list[json]]", Collect, Elements),
            ("array list[json]", "array list[json]", Spread, Elements),
        ] {
            assert_eq!(
                wire(from, to),
                Ok((delivery, vec![items])),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn refused_wires_say_what_to_do() {
        for (from, to, hint) in [
            ("array int", "int", Some("collect with list[int]")),
            ("array int", "json", Some("collect with list[int]")),
            ("int", "array int", Some("fan out a list, or `broadcast`")),
            ("json", "array json", Some("fan out a list, or `broadcast`")),
            (
                "array int",
                "array list[int]",
                Some("set `broadcast` to give the gathered list to every element"),
            ),
            ("int", "str", None),
            ("list[int]", "array str", None),
            ("list[int]", "int", None),
            ("array str", "list[int]", None),
            ("array str", "array int broadcast", None),
            ("int + list[int]", "int", Some("collect with list[int]")),
        ] {
            let refused = wire(from, to).expect_err("refused");
            assert_eq!(refused.as_deref(), hint, "{from} to {to}");
        }
    }

    #[test]
    fn steps_are_put_together_in_order() {
        use Delivery::{Collect, Spread};
        use Items::{Elements, Flatten, List, One};
        for (from, to, delivery, items) in [
            (
                "int + list[int] + array int",
                "list[int]",
                Collect,
                vec![One, List, Elements],
            ),
            ("int + list[int]", "array int", Spread, vec![One, List]),
            (
                "array int + array list[int]",
                "array int",
                Spread,
                vec![Elements, Flatten],
            ),
            (
                "list[int] + list[int]",
                "array list[int]",
                Collect,
                vec![List, List],
            ),
            (
                "list[int] + list[int]",
                "list[list[int]]",
                Collect,
                vec![One, One],
            ),
            (
                "int + array int",
                "array list[int] broadcast",
                Collect,
                vec![One, Elements],
            ),
        ] {
            assert_eq!(wire(from, to), Ok((delivery, items)), "{from} to {to}");
        }
    }
}
