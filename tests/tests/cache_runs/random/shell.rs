//! Workflows of the model as a user writes them: `reflow.toml` with tiny scripts.

use std::fmt::Write as _;

use super::model::{Kind, Parameter, Returns, Source, Task, Work, Workflow};

/// Returns the text that a number travels as.
pub(crate) fn text_of(number: i64) -> String {
    format!("v\u{fc}{number}")
}

/// Returns the name of the file that a number is in.
pub(crate) fn file_of(task: &Task, number: i64) -> String {
    format!("{}-{number}", task.name)
}

/// Returns the script of a task. The placeholders in it are filled in by reflow.
pub(crate) fn body(task: &Task) -> String {
    let mut text = format!("n={}; line={}; each=''\n", task.salt, task.name);
    for parameter in &task.parameters {
        let is_given = !matches!(parameter.source, Source::Tasks { .. });
        let read = match parameter.kind {
            Kind::Int => "v=$x; l=$x",
            Kind::Str => "v=${x#v\u{fc}}; l=$x",
            Kind::File | Kind::Path if is_given => "v=$(cat $x); l=$v",
            Kind::File | Kind::Path => "v=$(cat $x); l=${x##*/}",
        };
        let _ = write!(
            text,
            "for x in {{{}}}; do {read}; n=$(( (n * 31 + v) % 1000003 )); line=\"$line $l\"; each=\"$each $v\"; done\n\
             n=$(( (n * 31 + 7) % 1000003 )); line=\"$line |\"\n",
            parameter.name
        );
    }
    let give = match task.returns.kind() {
        Kind::Int => "echo $m".to_owned(),
        Kind::Str => "echo v\u{fc}$m".to_owned(),
        // Linked, so that elements that are alike never replace each other's file.
        Kind::File | Kind::Path => format!(
            "f={{run_dir}}/{}-$m; echo $m > $f.$$; ln $f.$$ $f 2> /dev/null || true; rm $f.$$; echo $f",
            task.name
        ),
    };
    let (salt, modulus, remark) = (task.salt, task.modulus, task.remark);
    text.push_str("echo \"$line\" >> $BODIES\n");
    let _ = match task.work {
        Work::Fold => writeln!(text, "m=$(( n % {modulus} )); {give}"),
        Work::Each => writeln!(
            text,
            "for v in $each; do m=$(( ({salt} * 31 + v) % 1000003 % {modulus} )); {give}; done"
        ),
        Work::Burst => writeln!(
            text,
            "for j in $(seq 0 $(( n % 4 - 1 ))); do m=$(( (n + j) % {modulus} )); {give}; done"
        ),
    };
    let _ = writeln!(text, "# {remark}");
    text
}

impl Workflow {
    /// Returns it as `reflow.toml`, without its head.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        for task in &self.tasks {
            let _ = writeln!(
                text,
                "[tasks.{}]\nshell = '''\n{}'''",
                task.name,
                body(task)
            );
            if task.array {
                let _ = writeln!(text, "array = true\nbatch = {}", task.batch);
            }
            if let Some(version) = task.version {
                let _ = writeln!(text, "version = \"{version}\"");
            }
            let returns = match task.returns {
                Returns::One(kind) => name_of(kind).to_owned(),
                Returns::Many(kind) => format!("list[{}]", name_of(kind)),
            };
            let _ = writeln!(text, "returns = \"{returns}\"");
            if matches!(task.returns, Returns::Many(_)) {
                text.push_str("output = \"lines\"\n");
            }
            for parameter in &task.parameters {
                let _ = writeln!(text, "params.{}", self.parameter(parameter));
            }
        }
        text
    }

    fn parameter(&self, parameter: &Parameter) -> String {
        let kind = name_of(parameter.kind);
        let (name, list) = (&parameter.name, format!("list[{kind}]"));
        match &parameter.source {
            Source::Number(_) | Source::Text(_) | Source::File(..) => {
                format!("{name} = {{ type = \"{kind}\" }}")
            }
            // In the file, so that both ways of giving a value are seen.
            Source::List(numbers) => {
                format!("{name} = {{ type = \"{list}\", default = {numbers:?} }}")
            }
            Source::Tasks {
                tasks,
                broadcast,
                list: is_list,
                ..
            } => {
                let kind = if *is_list { list.as_str() } else { kind };
                let names: Vec<String> = tasks
                    .iter()
                    .map(|place| format!("\"{}\"", self.tasks[*place].name))
                    .collect();
                let from = match names.as_slice() {
                    [one] => format!("result = {one}"),
                    many => format!("results = [{}]", many.join(", ")),
                };
                let broadcast = if *broadcast { ", broadcast = true" } else { "" };
                format!("{name} = {{ type = \"{kind}\", {from}{broadcast} }}")
            }
        }
    }

    /// Returns the flags that give its parameters.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        for parameter in self.tasks.iter().flat_map(|task| &task.parameters) {
            let value = match &parameter.source {
                Source::Number(number) => number.to_string(),
                Source::Text(number) => text_of(*number),
                Source::File(name, _) => name.clone(),
                Source::List(_) | Source::Tasks { .. } => continue,
            };
            flags.push(format!("--{}", parameter.name));
            flags.push(value);
        }
        flags
    }

    /// Returns the files that it reads, with their content.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        self.tasks
            .iter()
            .flat_map(|task| &task.parameters)
            .filter_map(|parameter| match &parameter.source {
                Source::File(name, number) => Some((name.clone(), format!("{number}\n"))),
                _ => None,
            })
            .collect()
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "int",
        Kind::Str => "str",
        Kind::File => "file",
        Kind::Path => "path",
    }
}
