use super::{Answer, Id, Record};

/// Reads the answer of `qstat -f` without `-F json`: Torque's, and that of PBS Pro before JSON. The error
/// is a line that does not fit.
///
/// A job starts with `Job Id: 20.server`; an attribute is `    name = value`, and a line that starts with
/// a tab goes on with the value before it. An empty line ends a job, so an answer without it was cut.
pub(crate) fn answer(text: &str) -> Result<Answer, String> {
    let mut answer = Answer::default();
    let mut attribute: Option<(&str, String)> = None;
    let mut is_open = false;
    for line in text.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some((_, value)) = &mut attribute {
                value.push_str(more);
            }
            continue;
        }
        take(&mut answer, attribute.take());
        if let Some(id) = line.trim().strip_prefix("Job Id:") {
            let id = id.trim();
            if Id::parse(id).is_none() {
                return Err(line.to_owned());
            }
            is_open = true;
            answer.records.push(Record::new(id));
        } else if line.trim().is_empty() {
            is_open = false;
        } else if is_open {
            // A value with line breaks of its own (a function in `Variable_List`) goes on without a tab.
            if let Some((name, value)) = line.split_once(" = ")
                && line.starts_with("    ")
            {
                attribute = Some((name.trim(), value.to_owned()));
            }
        } else if answer.records.is_empty() {
            // A greeting of the site.
        } else {
            return Err(line.to_owned());
        }
    }
    take(&mut answer, attribute);
    let is_cut = is_open || !(text.is_empty() || text.ends_with('\n'));
    if is_cut || (answer.records.is_empty() && !text.trim().is_empty()) {
        return Err(text.lines().next_back().unwrap_or_default().to_owned());
    }
    Ok(answer)
}

fn take(answer: &mut Answer, attribute: Option<(&str, String)>) {
    if let (Some((name, value)), Some(record)) = (attribute, answer.records.last_mut()) {
        record.set(name, value.trim());
    }
}
