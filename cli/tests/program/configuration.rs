//! Where values come from, and which one wins.

use crate::support::Sandbox;
use insta::assert_snapshot;

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
    assert_snapshot!(sandbox.outcome(&mut command).squeezed(), @r#"
    exit 0
    --- stdout
    backend.slurm.dispatch.partition  "short"  [DIR]/home/.config/reflow/config.toml:4
    backend.slurm.partitions.gpu  "a100"  [DIR]/system.toml:4
    default_backend  "local"  flag --backend
    dispatch  "worker"  variable REFLOW_DISPATCH
    env  ["PATH"]  [DIR]/project/reflow.toml:1
    store  "[DIR]/home/.config/reflow/store"  [DIR]/home/.config/reflow/config.toml:2

    [DIR]/system.toml: read
    [DIR]/home/.config/reflow/config.toml: read
    [DIR]/project/reflow.toml: read
    "#);
}

#[test]
fn the_file_that_was_named_stands_in_for_the_users() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/reflow/config.toml", "dispatch = \"login\"\n");
    sandbox.write("mine.toml", "env = \"clean\"\n");
    let outcome = sandbox.run(&["--config", "mine.toml", "config", "show", "--json"]);
    assert_snapshot!(outcome.stdout, @r#"
    {
      "schema": 1,
      "files": [
        {
          "layer": "given",
          "path": "[DIR]/mine.toml",
          "found": true
        }
      ],
      "settings": [
        {
          "key": "default_backend",
          "value": "local",
          "origin": {
            "from": "default"
          }
        },
        {
          "key": "dispatch",
          "value": "job",
          "origin": {
            "from": "default"
          }
        },
        {
          "key": "env",
          "value": "clean",
          "origin": {
            "from": "file",
            "layer": "given",
            "path": "[DIR]/mine.toml",
            "line": 1,
            "column": 1
          }
        },
        {
          "key": "store",
          "value": "[DIR]/home/.local/share/reflow",
          "origin": {
            "from": "default"
          }
        }
      ]
    }
    "#);
    assert_snapshot!(sandbox.run(&["--config", "no.toml", "config", "show"]).shown(), @r"
    exit 2
    --- stderr
    error: the configuration file `[DIR]/no.toml` does not exist
    ");
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/reflow/config.toml", "\n[backends.slurm]\n");
    assert_snapshot!(sandbox.run(&["runs"]).shown(), @r"
    exit 2
    --- stderr
    error: [DIR]/home/.config/reflow/config.toml:2:2: unknown key `backends`
    hint: the nearest key is `backend`
    ");
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.reflow();
    command.env("REFLOW_DISPATCH", "sometimes").args(["runs"]);
    assert_snapshot!(sandbox.outcome(&mut command).shown(), @r#"
    exit 2
    --- stderr
    error: variable REFLOW_DISPATCH: `dispatch` must be one of "job", "worker", "login", not "sometimes"
    "#);
}

#[test]
fn a_backend_that_there_is_not_is_refused_before_anything_is_submitted() {
    let sandbox = Sandbox::with_workflow(
        "[workflow]\nname = \"w\"\n[tasks.a]\nshell = \"true\"\nreturns = \"str\"\n",
    );
    let arguments = ["--backend", "slrum", "submit", "-w", "wordcount"];
    assert_snapshot!(sandbox.run(&arguments).shown(), @r"
    exit 2
    --- stderr
    error: could not connect to the backend `slrum`
      - nearest name: `slurm`
      caused by: there is no backend `slrum`; there are: local, lsf, pbs, slurm
    ");
    assert!(!sandbox.path().join("runs").exists());
}
