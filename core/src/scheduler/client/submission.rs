use crate::command::{Call, Exit, Output, Runner};
use crate::id::JobId;
use crate::scheduler::{Rendered, SchedulerErrorKind, SubmitError};

/// Runs the submitting command once, to its end.
///
/// # Errors
/// A job may exist unless the command could not be started.
pub async fn send(runner: &Runner, rendered: Rendered) -> Result<Output, SubmitError> {
    let call = Call {
        argv: rendered.argv,
        stdin: rendered.stdin.into_bytes(),
        environment: rendered.environment,
    };
    match runner.run(&call).await {
        Ok(output) => Ok(output),
        Err(error) if error.may_have_run() => Err(SubmitError::maybe_sent(error.into())),
        Err(error) => Err(SubmitError::nothing_sent(error.into())),
    }
}

/// Returns the id in the answer to a submission. `job_id` finds it in standard output, `refusal` makes
/// an error of an answer with another exit status than 0.
///
/// # Errors
/// A job may exist when the command was killed, and when it ended well without an id. Half an id is none:
/// it is that of another job.
pub fn accepted(
    output: &Output,
    job_id: impl Fn(&str) -> Option<JobId>,
    refusal: impl Fn(&Output) -> SubmitError,
) -> Result<JobId, SubmitError> {
    let program = output.argv.first().map_or("", String::as_str);
    let unexpected = |what: &str| {
        output.error(
            SchedulerErrorKind::UnexpectedOutput,
            format!("`{program}` {what}"),
        )
    };
    match output.exit {
        Exit::Code(0) if output.is_cut_off() => {
            let error = unexpected("gave an answer that is cut off");
            Err(SubmitError::maybe_sent(
                error.with_context("stdout", output.stdout_text()),
            ))
        }
        Exit::Code(0) => job_id(&output.stdout_text()).ok_or_else(|| {
            let error = unexpected("ended well but gave no job id");
            SubmitError::maybe_sent(error.with_context("stdout", output.stdout_text()))
        }),
        Exit::Code(_) => Err(refusal(output)),
        Exit::Signal(_) => Err(SubmitError::maybe_sent(unexpected("was killed"))),
    }
}
