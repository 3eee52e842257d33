//! One file for each group of promises.

mod basics;
mod depend;
mod ends;
mod full;
mod killed;
mod killed_at;
mod life;
mod memory;
mod serving;

use libtest_mimic::{Failed, Trial};

/// Returns all cases.
pub(crate) fn all() -> Vec<Trial> {
    [
        basics::CASES,
        depend::CASES,
        ends::CASES,
        killed::CASES,
        life::CASES,
        memory::CASES,
        serving::CASES,
    ]
    .concat()
    .into_iter()
    .map(|(name, case)| {
        Trial::test(name, move || {
            case();
            Ok::<(), Failed>(())
        })
    })
    .chain(killed_at::trials())
    .chain(full::trials())
    .collect()
}

/// A name and what it runs.
pub(crate) type Case = (&'static str, fn());
