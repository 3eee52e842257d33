//! The cases, one file a clause group.

mod array;
mod cancel;
mod dependency;
mod fault;
mod find;
mod render;
mod status;
mod submit;

use crate::Case;

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    [
        render::CASES,
        submit::CASES,
        array::CASES,
        dependency::CASES,
        status::CASES,
        cancel::CASES,
        find::CASES,
        fault::CASES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_clause_is_one_of_the_contract() {
        let cases = cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            let (group, number) = case.clause.split_at(1);
            assert!("NKRSTCF".contains(group), "{}", case.clause);
            assert!(number.parse::<u8>().is_ok(), "{}", case.clause);
        }
    }
}
