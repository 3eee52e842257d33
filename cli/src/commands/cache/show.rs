use reflow_core::engine;
use reflow_core::identity::Digest;
use reflow_core::store::cache::{Cache, Candidate};
use serde_json::json;

use super::{each, store, tasks};
use crate::context::Context;
use crate::element::ElementName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render::cache::{self, Listed};

/// Shortest prefix of an identity that is taken for one.
const SHORTEST: usize = 4;

/// Show what is remembered of one identity: values, the runs that made them, and whether their files are
/// there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The beginning of an identity, as `reflow cache list` shows it; or a run, with an element of it.
    #[arg(value_name = "IDENTITY|RUN")]
    what: String,
    /// The element of the run: `total`, `count[3]`.
    #[arg(value_name = "TASK[INDEX]")]
    element: Option<ElementName>,
}

pub(super) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let remembered = Cache::new(&store(context)?);
    let (identity, listed) = match &args.element {
        Some(element) => {
            let identity = identity_of(context, &args.what, element)?;
            (identity, find(&remembered, &identity.to_string())?)
        }
        None => by_prefix(&remembered, &args.what)?,
    };
    if context.output.json {
        let results: Vec<_> = listed.iter().map(cache::detailed).collect();
        output::print_document(&json!({"identity": identity, "results": results}))?;
    } else {
        output::print(&cache::show(&identity, &listed))?;
    }
    Ok(Exit::Done)
}

fn identity_of(context: &Context, run: &str, element: &ElementName) -> Result<Digest, CliError> {
    let run = context.find_run(run)?;
    let found = engine::identity(&run, element.task.as_str(), element.index)?;
    found.ok_or_else(|| {
        CliError::request(format!(
            "`{element}` of {} has no identity: it has no value, or caching is off",
            run.record().run_id
        ))
        .with_hint(format!(
            "`reflow explain {} {element}` says why it ran",
            run.record().run_id
        ))
    })
}

fn by_prefix(cache: &Cache, prefix: &str) -> Result<(Digest, Vec<Listed>), CliError> {
    let is_hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || prefix.len() < SHORTEST || prefix.len() > 64 {
        return Err(
            CliError::request(format!("`{prefix}` is not the beginning of an identity"))
                .with_hint(format!(
                    "give at least {SHORTEST} hexadecimal digits, as `reflow cache list` shows them"
                ))
                .with_hint("or name an element of a run: `reflow cache show RUN TASK[INDEX]`"),
        );
    }
    let listed = find(cache, &prefix.to_ascii_lowercase())?;
    let Some(first) = listed.first() else {
        return Err(
            CliError::request(format!("nothing is remembered of an identity `{prefix}…`"))
                .with_hint("`reflow cache list` shows what is remembered"),
        );
    };
    let identity = first.identity;
    let mut others: Vec<String> = listed
        .iter()
        .map(|it| format!("{} of `{}`", it.identity, it.task))
        .collect();
    others.dedup();
    if listed.iter().any(|it| it.identity != identity) {
        others.truncate(10);
        return Err(
            CliError::request(format!("several identities begin with `{prefix}`"))
                .with_details(others)
                .with_hint("give more digits"),
        );
    }
    Ok((identity, listed))
}

/// Returns what is remembered of identities that begin so.
fn find(cache: &Cache, prefix: &str) -> Result<Vec<Listed>, CliError> {
    let mut found = Vec::new();
    each(cache, &tasks(cache, None)?, |task, opened| {
        let mut add = |identity: &Digest, candidates: &[Candidate]| {
            found.extend(candidates.iter().map(|candidate| Listed {
                task: task.clone(),
                identity: *identity,
                candidate: candidate.clone(),
            }));
        };
        if let Ok(identity) = prefix.parse::<Digest>() {
            add(&identity, &opened.find(&identity)?);
            return Ok(());
        }
        opened.each(&mut |identity, candidates| {
            if identity.to_string().starts_with(prefix) {
                add(identity, &candidates);
            }
            Ok(())
        })
    });
    Ok(found)
}
