use std::fmt::Write;

use clap::ArgMatches;
use reflow_core::engine::{self, Preview, Services, SubmitRequest};
use reflow_core::rundir::{CacheChoices, Force, RunDir, Verify};
use reflow_core::store::CatalogueEntry;
use reflow_core::workflow::Graph;
use serde_json::json;

use crate::app::SubmitOptions;
use crate::context::{Context, own_program};
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output::{self, FAINT, STRONG, styled, warn};
use crate::parameters;
use crate::render;
use crate::run_reference::shell_name;
use crate::selection;
use crate::workflow::Workflow;

/// Submit a workflow and return at once.
///
/// The parameters of the workflow are flags: with `-w`, this help shows them under their tasks.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) options: SubmitOptions,
    /// Show what would be submitted, and submit nothing: the commands and scripts, and what is left for
    /// later. Writes nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn execute(
    context: &Context,
    args: &Args,
    workflow: Workflow,
    matches: &ArgMatches,
) -> Result<Exit, CliError> {
    if args.dry_run {
        return dry_run(context, &args.options, workflow, matches);
    }
    let submitted = submit(context, &args.options, workflow, matches)?;
    let record = submitted.run.record();
    if context.output.json {
        output::print_document(&json!({
            "run_id": record.run_id,
            "run_dir": submitted.run.path(),
            "workflow": record.description.name,
            "backend": record.backend.name,
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = submitted.announcement();
    let next = styled(FAINT, "next:");
    let _ = writeln!(text, "{next} reflow status {}", submitted.name());
    output::print(&text)?;
    Ok(Exit::Done)
}

/// Shows what would be submitted.
fn dry_run(
    context: &Context,
    options: &SubmitOptions,
    workflow: Workflow,
    matches: &ArgMatches,
) -> Result<Exit, CliError> {
    let services = Services::system();
    let request = request(context, options, workflow, matches, &services)?;
    let variables = request.environment.variables.clone();
    let preview = Context::runtime()?.block_on(async {
        let scheduler = context.connect_to_submit(&request.backend).await?;
        Ok::<_, CliError>(engine::preview(request, scheduler.as_ref(), &services)?)
    })?;
    if let Some(error) = refusal(&preview) {
        return Err(error);
    }
    let base = &context.surroundings.directory;
    if context.output.json {
        let variables: Vec<&String> = variables.keys().collect();
        output::print_document(&render::preview::document(&preview, &variables, base))?;
    } else {
        output::print(&render::preview::text(&preview, base))?;
    }
    Ok(Exit::Done)
}

/// Returns why something would not be taken as it is. It is the request that is wrong, unless the batch
/// system has a limit of its own.
fn refusal(preview: &Preview) -> Option<CliError> {
    let refusals = render::preview::refusals(preview);
    let (_, first) = refusals.first()?;
    let mut error = CliError::new(
        Kind::of(first.kind()),
        format!(
            "the backend `{}` does not take the workflow as it is",
            preview.run.record().backend.name
        ),
    );
    for (what, refusal) in &refusals {
        error.details.push(format!("{what}: {refusal}"));
    }
    Some(error)
}

/// A run that was submitted.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) run: RunDir,
    /// Whether the run can be named by its id.
    listed: bool,
}

impl Submitted {
    /// Returns what is printed at once: the run, its directory and its backend.
    pub(crate) fn announcement(&self) -> String {
        let record = self.run.record();
        format!(
            "submitted {} to {}\n  {} {}\n",
            styled(STRONG, &record.run_id),
            record.backend.name,
            styled(FAINT, "directory"),
            self.run.path().display()
        )
    }

    /// Returns how the run is named on a command line.
    pub(crate) fn name(&self) -> String {
        if self.listed {
            return self.run.record().run_id.to_string();
        }
        shell_name(&self.run)
    }
}

/// Submits a workflow and lists the run in the catalogue.
pub(crate) fn submit(
    context: &Context,
    options: &SubmitOptions,
    workflow: Workflow,
    matches: &ArgMatches,
) -> Result<Submitted, CliError> {
    let services = Services::system();
    let request = request(context, options, workflow, matches, &services)?;
    let run = Context::runtime()?.block_on(async {
        let scheduler = context.connect_to_submit(&request.backend).await?;
        Ok::<_, CliError>(engine::submit(request, scheduler.as_ref(), &services).await?)
    })?;
    if run.record().backend.name == "local" {
        let options = context.connect_options(&run.record().backend, &run.record().launcher);
        for warning in reflow_backend_local::warnings(&options) {
            warn(&warning);
        }
    }
    let listed = list(context, &run);
    Ok(Submitted { run, listed })
}

/// Returns the run as it is asked for.
fn request(
    context: &Context,
    options: &SubmitOptions,
    workflow: Workflow,
    matches: &ArgMatches,
    services: &Services,
) -> Result<SubmitRequest, CliError> {
    let surroundings = &context.surroundings;
    let bound = parameters::bind(&workflow.graph, matches, &surroundings.directory)?;
    let run_id = engine::new_run_id(&workflow.graph.description().name, services)
        .map_err(|error| CliError::fault(error).doing("no id could be made for the run"))?;
    let run_dir = match &options.run_dir {
        Some(named) => surroundings.absolute(named),
        None => surroundings.directory.join("runs").join(run_id.as_str()),
    };
    let resolved = &context.configuration.resolved;
    let (program, launcher) = match resolved.launcher() {
        Some(launcher) => (None, launcher),
        None => (Some(own_program()?), Vec::new()),
    };
    let backend = context.backend();
    let cache = cache_choices(context, options, &workflow.graph)?;
    Ok(SubmitRequest {
        graph: workflow.graph,
        parameters: bound,
        run_dir,
        run_id,
        program,
        launcher,
        files: workflow.files,
        dispatch: resolved.dispatch(),
        environment: context.job_environment(),
        latency_ms: context.latency(&backend.name).as_millis() as u64,
        cache,
        backend,
    })
}

/// Returns what of earlier runs is used.
fn cache_choices(
    context: &Context,
    options: &SubmitOptions,
    graph: &Graph,
) -> Result<CacheChoices, CliError> {
    let options = &options.cache;
    let mut forced = Vec::new();
    for name in &options.force_tasks {
        forced.push(selection::task(graph, name)?.name.clone());
    }
    Ok(CacheChoices {
        store: context.store(),
        force: if options.force {
            Force::All
        } else if forced.is_empty() {
            Force::None
        } else {
            Force::Tasks(forced)
        },
        verify: match (options.verify, options.no_verify) {
            (true, _) => Verify::Content,
            (_, true) => Verify::Nothing,
            _ => Verify::Existence,
        },
    })
}

/// Lists a run in the catalogue. A store that cannot be written costs a warning, never a run.
fn list(context: &Context, run: &RunDir) -> bool {
    let record = run.record();
    let Some(catalogue) = context.catalogue() else {
        warn("the run is not listed: there is no store; name the run by its directory");
        return false;
    };
    let entry = CatalogueEntry::new(
        record.run_id.clone(),
        run.path().to_owned(),
        record.description.name.clone(),
        record.created.clone(),
    );
    match catalogue.add(&entry) {
        Ok(()) => true,
        Err(error) => {
            let error = CliError::from(error);
            let cause = error
                .causes
                .first()
                .map_or(String::new(), |cause| format!(": {cause}"));
            warn(&format!(
                "the run is not listed: {}{cause}; name the run by its directory",
                error.message
            ));
            false
        }
    }
}
