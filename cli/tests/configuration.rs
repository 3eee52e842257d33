//! Where values come from, and which one wins.

mod support;

use insta::assert_snapshot;
use support::Sandbox;

#[test]
fn every_layer_is_seen_and_the_nearest_wins() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "system.toml",
        "default_backend = \"slurm\"\ndispatch = \"login\"\n[backend.slurm.partitions]\ngpu = \"a100\"\n",
    );
    sandbox.write(
        "home/.config/reflow/config.toml",
        "env = \"clean\"\nstore = \"store\"\n[backend.slurm.dispatch]\npartition = \"short\"\n",
    );
    sandbox.write(
        "project/reflow.toml",
        "env = [\"PATH\"]\n[workflow]\nname = \"w\"\n",
    );
    let mut command = sandbox.reflow();
    command
        .current_dir(sandbox.path().join("project"))
        .env("REFLOW_DISPATCH", "worker")
        .args(["--backend", "local", "config", "show"]);
    assert_snapshot!(sandbox.outcome(&mut command).shown(), @"");
}

#[test]
fn the_file_that_was_named_stands_in_for_the_users() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/reflow/config.toml", "dispatch = \"login\"\n");
    sandbox.write("mine.toml", "env = \"clean\"\n");
    let outcome = sandbox.run(&["--config", "mine.toml", "config", "show", "--json"]);
    assert_snapshot!(outcome.stdout, @"");
    assert_snapshot!(sandbox.run(&["--config", "no.toml", "config", "show"]).shown(), @"");
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/reflow/config.toml", "\n[backends.slurm]\n");
    assert_snapshot!(sandbox.run(&["runs"]).shown(), @"");
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.reflow();
    command.env("REFLOW_DISPATCH", "sometimes").args(["runs"]);
    assert_snapshot!(sandbox.outcome(&mut command).shown(), @"");
}

#[test]
fn a_backend_that_there_is_not_is_refused_before_anything_is_submitted() {
    let sandbox = Sandbox::with_workflow(
        "[workflow]\nname = \"w\"\n[tasks.a]\nshell = \"true\"\nreturns = \"str\"\n",
    );
    let arguments = ["--backend", "slrum", "submit", "-w", "wordcount"];
    assert_snapshot!(sandbox.run(&arguments).shown(), @"");
    assert!(!sandbox.path().join("runs").exists());
}
