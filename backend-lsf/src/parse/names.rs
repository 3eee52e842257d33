use super::{Format, job_and_index};

/// A job with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The number of the job.
    pub(crate) job: String,
    /// Its name, for an element that of the array.
    pub(crate) name: String,
    /// Whether the line is about an element of an array.
    pub(crate) is_element: bool,
}

fn named(id: &str, index: Option<&str>, name: &str) -> Option<Named> {
    let (job, in_id) = job_and_index(id.trim())?;
    let base = name.split('[').next().unwrap_or_default().trim();
    Some(Named {
        job: job.to_owned(),
        name: base.to_owned(),
        is_element: in_id > 0
            || name.trim_end().ends_with(']')
            || index.is_some_and(|index| !matches!(index.trim(), "" | "-" | "0")),
    })
}

/// Reads the answer of `bjobs` with [`Format::name_arguments`]; lines that do not fit are left out, and so is
/// a last line that was cut.
pub(crate) fn names(format: Format, text: &str) -> Vec<Named> {
    let read = match format {
        Format::Custom => custom,
        Format::Long => wide,
    };
    whole_lines(text).filter_map(read).collect()
}

fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
}

fn custom(line: &str) -> Option<Named> {
    let mut fields = line.splitn(3, '^');
    let (id, index, name) = (fields.next()?, fields.next()?, fields.next()?);
    named(id, Some(index), name)
}

/// `43 reflowt DONE normal vm vm pa[1] Nov 22 16:45`: hosts may be missing or many, so the name is counted
/// from the end.
fn wide(line: &str) -> Option<Named> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [id, _user, _state, _queue, .., name, _month, _day, clock] = words[..] else {
        return None;
    };
    clock.contains(':').then(|| named(id, None, name))?
}

/// Reads the answer of `bhist -w`: `43[2] reflowt pa[2] 1 0 2 0 0 0 3`, below two lines of headings.
pub(crate) fn history_names(text: &str) -> Vec<Named> {
    whole_lines(text)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [id, _user, .., name, _, _, _, _, _, _, total] = words[..] else {
                return None;
            };
            total.parse::<f64>().ok()?;
            named(id, None, name)
        })
        .collect()
}
