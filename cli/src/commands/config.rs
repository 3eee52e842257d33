use clap::Subcommand;
use reflow_core::config::Origin;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, FAINT, STRONG, styled};
use crate::render::table;

/// Show the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// Show every value and where it was written.
    Show,
}

pub(crate) fn execute(context: &Context, command: Command) -> Result<Exit, CliError> {
    let Command::Show = command;
    let configuration = &context.configuration;
    if context.output.json {
        let files: Vec<_> = configuration
            .files
            .iter()
            .map(|(layer, path, found)| json!({"layer": layer, "path": path, "found": found}))
            .collect();
        let settings: Vec<_> = configuration.resolved.settings().collect();
        output::print_document(&json!({"files": files, "settings": settings}))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = configuration
        .resolved
        .settings()
        .map(|setting| {
            let origin = match &setting.origin {
                Origin::File { path, line, .. } => format!("{}:{line}", path.display()),
                other => other.to_string(),
            };
            vec![
                styled(STRONG, setting.dotted_key()),
                setting.value.to_string(),
                styled(FAINT, origin),
            ]
        })
        .collect();
    let mut text = table::columns(&rows, "");
    text.push('\n');
    for (_, path, found) in &configuration.files {
        let word = if *found { "read" } else { "not there" };
        text.push_str(&styled(FAINT, format!("{}: {word}\n", path.display())));
    }
    output::print(&text)?;
    Ok(Exit::Done)
}
