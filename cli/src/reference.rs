use std::fmt::Write;

use clap::{Command, CommandFactory};

use crate::app::App;
use crate::exit::Exit;

/// Returns the reference of the command line, as Markdown, made from what the program parses.
pub fn reference() -> String {
    let mut text = "# Command line\n\n\
        This page is made from the program's own help; a test keeps it up to date. See \
        [configuration](configuration.md) for files and variables and [JSON](json.md) for what \
        `--json` prints.\n"
        .to_owned();
    let mut app = App::command();
    app.build();
    section(&mut text, &app, "reflow");
    for command in app.get_subcommands() {
        let name = format!("reflow {}", command.get_name());
        section(&mut text, command, &name);
        for inner in command.get_subcommands() {
            section(&mut text, inner, &format!("{name} {}", inner.get_name()));
        }
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "| {} | {meaning} |", exit.code());
    }
    text
}

fn section(text: &mut String, command: &Command, name: &str) {
    let mut command = command
        .clone()
        .mut_args(|argument| {
            let shown_once = argument.is_global_set() && name != "reflow";
            argument.hide(shown_once)
        })
        .term_width(100);
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(
        text,
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    );
}
