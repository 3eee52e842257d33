//! What dependency expressions mean: the jobs that they name, and whether they hold.

use super::ends::Ending;
use super::expression::{Expression, Parent, Pick};
use crate::fake::{
    Cluster, Condition, Dialect, Element, ElementState, Job, Submission, Verdict, Which,
};

/// Looks up the jobs of an expression. The error is the words of `bsub`, without `Job not submitted`.
pub(super) fn resolve(
    cluster: &Cluster,
    submission: &Submission,
    expression: &Expression,
) -> Result<Condition, String> {
    let all = |inner: &[Expression]| -> Result<Vec<Condition>, String> {
        inner
            .iter()
            .map(|one| resolve(cluster, submission, one))
            .collect()
    };
    Ok(match expression {
        Expression::All(inner) => Condition::All(all(inner)?),
        Expression::Any(inner) => Condition::Any(all(inner)?),
        Expression::Not(inner) => Condition::Not(Box::new(resolve(cluster, submission, inner)?)),
        Expression::On {
            word,
            parent,
            pick,
            argument,
        } => {
            let jobs = find(cluster, submission, parent)?;
            let conditions = jobs.into_iter().map(|job| {
                Ok(Condition::On {
                    word: word.clone(),
                    job: job.number,
                    which: which(submission, job, pick, parent)?,
                    arguments: argument.iter().cloned().collect(),
                })
            });
            let mut conditions = conditions.collect::<Result<Vec<_>, String>>()?;
            match conditions.len() {
                1 => conditions.remove(0),
                _ => Condition::All(conditions),
            }
        }
    })
}

/// Returns the jobs that are meant: by name "ALL own jobs of that name". One that is not known any more is
/// not found: "A parent that was already purged from mbatchd's memory (CLEAN_PERIOD, 1 h default) is "No
/// matching job found": a late submit with -w fails".
fn find<'a>(
    cluster: &'a Cluster,
    submission: &Submission,
    parent: &Parent,
) -> Result<Vec<&'a Job>, String> {
    let jobs: Vec<&Job> = match parent {
        Parent::Number(number) => cluster.known(*number).into_iter().collect(),
        Parent::Name(name) => cluster
            .jobs
            .values()
            .filter(|job| {
                !job.forgotten
                    && job.submission.user == submission.user
                    && job.submission.name == *name
            })
            .collect(),
    };
    if jobs.is_empty() {
        return Err(not_found(parent));
    }
    Ok(jobs)
}

/// "`done(99999)` | `99999: No matching job found. Job not submitted.`".
fn not_found(parent: &Parent) -> String {
    match parent {
        Parent::Number(number) => format!("{number}: No matching job found"),
        Parent::Name(name) => format!("{name}: No matching job found"),
    }
}

fn which(
    submission: &Submission,
    job: &Job,
    pick: &Pick,
    parent: &Parent,
) -> Result<Which, String> {
    match pick {
        Pick::Whole => Ok(Which::Whole),
        Pick::Indices(indices) => {
            if indices.iter().all(|index| job.position(*index).is_some()) {
                Ok(Which::Elements(indices.clone()))
            } else {
                Err(not_found(parent))
            }
        }
        Pick::Same => {
            let mine = submission.array.as_ref().map(|array| &array.indices);
            let theirs = job.submission.array.as_ref().map(|array| &array.indices);
            // "element-wise with another size or other indices (child [1-3], parent [2-4]), or on a
            // non-array child | `Unknown batch system error number 131. Job not submitted.`"
            if mine.is_some() && mine == theirs {
                Ok(Which::Same)
            } else {
                Err("Unknown batch system error number 131".to_owned())
            }
        }
    }
}

/// Says whether a condition holds for the element of this index, or for the whole job.
pub(super) fn judge(cluster: &Cluster, condition: &Condition, index: Option<u32>) -> Verdict {
    match condition {
        Condition::All(all) => {
            let verdicts: Vec<Verdict> = all.iter().map(|one| judge(cluster, one, index)).collect();
            if verdicts.contains(&Verdict::Never) {
                Verdict::Never
            } else if verdicts.contains(&Verdict::Wait) {
                Verdict::Wait
            } else {
                Verdict::Release
            }
        }
        Condition::Any(any) => {
            let verdicts: Vec<Verdict> = any.iter().map(|one| judge(cluster, one, index)).collect();
            if verdicts.contains(&Verdict::Release) {
                Verdict::Release
            } else if verdicts.contains(&Verdict::Wait) {
                Verdict::Wait
            } else {
                Verdict::Never
            }
        }
        Condition::Not(inner) => match judge(cluster, inner, index) {
            Verdict::Release => Verdict::Wait,
            _ => Verdict::Release,
        },
        Condition::On {
            word,
            job,
            which,
            arguments,
        } => {
            let Some(job) = cluster.jobs.get(job) else {
                return Verdict::Never;
            };
            let elements: Vec<&Element> = match which {
                Which::Whole => job.elements.iter().collect(),
                Which::Elements(indices) => indices
                    .iter()
                    .filter_map(|index| Some(&job.elements[job.position(*index)?]))
                    .collect(),
                Which::Same => index
                    .and_then(|index| job.position(index))
                    .map(|position| &job.elements[position])
                    .into_iter()
                    .collect(),
            };
            let argument = arguments.first().map(String::as_str);
            if let Some(state) = word.strip_prefix("num") {
                count(cluster.dialect, &elements, state, argument.unwrap_or("*"))
            } else {
                each(cluster.dialect, &elements, word, argument)
            }
        }
    }
}

/// A condition on a job is one on each of its elements: "`done(43)` with an array | all elements DONE; if
/// one fails: pends for ever".
fn each(dialect: Dialect, elements: &[&Element], word: &str, argument: Option<&str>) -> Verdict {
    let one = |element: &&Element| {
        let ending = Ending::of(dialect, element);
        let holds = match (word, ending) {
            ("started" | "external", _) => {
                return if element.state == ElementState::Pending {
                    Verdict::Wait
                } else {
                    Verdict::Release
                };
            }
            (_, None) => return Verdict::Wait,
            ("ended", Some(_)) => true,
            ("exit" | "post_err", Some(ending)) => {
                let code = ending.code();
                ending != Ending::Done
                    && argument.is_none_or(|wanted| {
                        code.is_some_and(|code| compares(wanted, i64::from(code)))
                    })
            }
            // done, post_done
            (_, Some(ending)) => ending == Ending::Done,
        };
        if holds {
            Verdict::Release
        } else {
            Verdict::Never
        }
    };
    let verdicts: Vec<Verdict> = elements.iter().map(one).collect();
    if verdicts.contains(&Verdict::Never) {
        Verdict::Never
    } else if verdicts.contains(&Verdict::Wait) {
        Verdict::Wait
    } else {
        Verdict::Release
    }
}

/// A condition on a number of elements is never said to be hopeless: "`numdone(43,*)` with one failed |
/// pends for ever, reason stays `Job dependency condition not satisfied`".
fn count(dialect: Dialect, elements: &[&Element], state: &str, wanted: &str) -> Verdict {
    let counts = |element: &&&Element| {
        let ending = Ending::of(dialect, element);
        match state {
            "done" => ending == Some(Ending::Done),
            "exit" => ending.is_some_and(|ending| ending != Ending::Done),
            "ended" => ending.is_some(),
            "hold" => element.held && element.state == ElementState::Pending,
            "pend" => !element.held && element.state == ElementState::Pending,
            "run" => matches!(element.state, ElementState::Running | ElementState::Exiting),
            // start
            _ => element.started.is_some(),
        }
    };
    let number = elements.iter().filter(counts).count();
    let holds = if wanted == "*" {
        number == elements.len()
    } else {
        compares(wanted, number as i64)
    };
    if holds {
        Verdict::Release
    } else {
        Verdict::Wait
    }
}

/// Compares with `4`, `>4`, `!= 4`, … A bare number means as many, by IBM's page.
fn compares(wanted: &str, number: i64) -> bool {
    let wanted = wanted.trim();
    let digits = wanted
        .find(|c: char| c.is_ascii_digit() || c == '-')
        .unwrap_or(wanted.len());
    let (operator, value) = wanted.split_at(digits);
    let Ok(value) = value.trim().parse::<i64>() else {
        return false;
    };
    match operator.trim() {
        "" | "==" => number == value,
        "!=" => number != value,
        ">" => number > value,
        "<" => number < value,
        ">=" => number >= value,
        "<=" => number <= value,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared() {
        for (wanted, number) in [("4", 4), (">4", 5), ("!= 4", 3), ("<=4", 4), ("== 4", 4)] {
            assert!(compares(wanted, number), "{wanted} {number}");
        }
        for (wanted, number) in [("4", 5), (">4", 4), ("x", 1), ("<", 1)] {
            assert!(!compares(wanted, number), "{wanted} {number}");
        }
    }
}
