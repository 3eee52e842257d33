//! The cases, one file a clause group.

mod array;
mod broken;
mod cancel;
mod dependency;
mod elements;
mod fault;
mod fault_submit;
mod find;
mod refuse;
mod render;
mod settle;
mod status;
mod submit;

use crate::Case;

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    [
        render::CASES,
        submit::CASES,
        refuse::CASES,
        array::CASES,
        dependency::CASES,
        broken::CASES,
        elements::CASES,
        status::CASES,
        cancel::CASES,
        find::CASES,
        fault::CASES,
        fault_submit::CASES,
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
