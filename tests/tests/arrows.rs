//! Which crate of the workspace may depend on which: arrows point inward only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Each crate with the crates of the workspace that it may name, for building and for testing.
const ALLOWED: &[(&str, &[&str])] = &[
    ("reflow-core", &[]),
    ("reflow-conformance", &["reflow-core"]),
    ("reflow-backend-local", &["reflow-core"]),
    ("reflow-backend-lsf", &["reflow-core"]),
    ("reflow-backend-pbs", &["reflow-core"]),
    ("reflow-backend-slurm", &["reflow-core"]),
    (
        "reflow",
        &[
            "reflow-core",
            "reflow-backend-local",
            "reflow-backend-lsf",
            "reflow-backend-pbs",
            "reflow-backend-slurm",
            "reflow-conformance",
        ],
    ),
    (
        "reflow-tests",
        &[
            "reflow-core",
            "reflow-backend-local",
            "reflow-backend-lsf",
            "reflow-backend-pbs",
            "reflow-backend-slurm",
            "reflow-conformance",
            "reflow",
        ],
    ),
];

/// What each crate of the workspace names among the others, as cargo sees it.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test asks cargo, not a batch system"
    )]
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let output = cargo
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, since it has built this test");
    assert!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let name = |package: &Value| package["name"].as_str().expect("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    packages
        .iter()
        .map(|package| {
            let named = package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .map(name)
                .filter(|dependency| ours.contains(dependency))
                .collect();
            (name(package), named)
        })
        .collect()
}

#[test]
fn crates_name_only_what_lies_further_inward() {
    for (package, named) in arrows() {
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == package)
            .unwrap_or_else(|| panic!("{package} is new: say in ALLOWED what it may depend on"));
        for dependency in named {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}: arrows point inward, see ARCHITECTURE.md"
            );
        }
    }
}

#[test]
fn every_listed_crate_exists() {
    let arrows = arrows();
    for (package, _) in ALLOWED {
        assert!(
            arrows.contains_key(*package),
            "{package} is listed in ALLOWED but is not in the workspace"
        );
    }
}
