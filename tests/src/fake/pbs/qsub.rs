//! `qsub`.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use fs_err as fs;
use serde_json::Value;

use crate::fake::client::Client;
use crate::fake::{Answer, Body, Refusal, Request, Submission, Text};

use super::directives::{Given, Line, Wrong, of_script, pairs, read};
use super::rules::exit_status;
use super::{array, ask, depend, torque, variables};

/// The options of OpenPBS.
const OPTIONS: &str = "a:A:c:C:e:fGhIj:J:k:l:m:M:N:o:p:q:r:R:S:u:v:VW:XzP:";

/// The usage text, which "does not mention `%N` although it works".
const USAGE: &str = "\
usage: qsub [-a date_time] [-A account_string] [-c interval]
\t[-C directive_prefix] [-e path] [-f ] [-h ] [-I [-X]] [-j oe|eo] [-J X-Y[:Z]]
\t[-k keep] [-l resource_list] [-m mail_options] [-M user_list]
\t[-N jobname] [-o path] [-p priority] [-P project] [-q queue] [-r y|n]
\t[-R o|e|oe] [-S path] [-u user_list] [-W otherattributes=value...]
\t[-v variable_list] [-V ] [-z] [script | -- command [arg1 ...]]
       qsub --version";

/// A refusal by the client; the server's have the same form.
fn refusal(text: impl Into<String>, code: u8) -> Refusal {
    Refusal {
        text: text.into(),
        code,
    }
}

/// "any illegal option value (`-N`, `-J`, `-W`): `qsub: illegal -N value` + usage on stderr", exit 2.
fn illegal(letter: char) -> Refusal {
    refusal(format!("illegal -{letter} value"), 2)
}

/// Runs it.
pub(super) fn run(client: &Client) -> u8 {
    match submit(client) {
        Ok(code) => code,
        Err(refusal) => {
            client.complain(&format!("qsub: {}", refusal.text));
            if refusal.code == 2 && !refusal.text.starts_with("Job name") {
                client.complain(USAGE);
            }
            refusal.code
        }
    }
}

fn submit(client: &Client) -> Result<u8, Refusal> {
    let known = torque::options(client.dialect).unwrap_or(OPTIONS);
    let unread = |wrong: Wrong| match wrong {
        Wrong::Unknown(letter) => refusal(format!("invalid option -- '{letter}'"), 2),
        Wrong::NoValue(letter) => refusal(format!("option requires an argument -- '{letter}'"), 2),
    };
    let line = read(&client.words(), known).map_err(unread)?;
    let mut submission = Submission {
        user: client.user.clone(),
        ..Submission::default()
    };
    let prefix = value_of(&line.options, 'C').unwrap_or("#PBS").to_owned();
    let body = body(&line, &mut submission)?;
    let mut given: Vec<Given> = Vec::new();
    if let Body::Script(text) = &body {
        if text.0.windows(2).any(|pair| pair == b"\r\n") {
            // "script with CR LF line endings: `qsub: script contains cr, lf`", exit 1.
            return Err(refusal("script contains cr, lf", 1));
        }
        let directives = read(&of_script(&text.0, &prefix), known).map_err(unread)?;
        given.extend(directives.options);
    }
    submission.body = body;
    // What the command line says counts.
    let typed: Vec<char> = line.options.iter().map(|(letter, _)| *letter).collect();
    given.retain(|(letter, _)| *letter == 'l' || *letter == 'W' || !typed.contains(letter));
    given.extend(line.options);
    let mut reading = Reading::new(client, submission);
    for (letter, value) in given {
        reading.option(letter, value.as_deref().unwrap_or_default())?;
    }
    let quiet = reading.quiet;
    let block = reading.block;
    let submission = reading.finish();
    let is_array = submission.array.is_some();
    let request = Request::Submit(Box::new(submission));
    let answer = match ask(client, &request) {
        Ok(answer) => answer,
        Err(code) => return Ok(code),
    };
    match answer {
        Answer::Taken(number) => Ok(taken(client, number, is_array, quiet, block)),
        Answer::Refused(refusal) => Err(refusal),
        _ => Err(refusal("the fake's server has said something else", 1)),
    }
}

fn value_of(given: &[Given], letter: char) -> Option<&str> {
    given
        .iter()
        .rev()
        .find(|(known, _)| *known == letter)
        .and_then(|(_, value)| value.as_deref())
}

/// Reads the script, or the command after `--`, and names the job after it.
fn body(line: &Line, submission: &mut Submission) -> Result<Body, Refusal> {
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    if let Some(words) = &line.after {
        // "`qsub -- /bin/echo hello`"
        if words.is_empty() || !line.operands.is_empty() {
            return Err(refusal("no command after --", 2));
        }
        submission.name = base(&words[0]);
        let words = words.iter().map(|word| Text::from(word.as_str()));
        return Ok(Body::Command(words.collect()));
    }
    match line.operands.as_slice() {
        // "`echo "cmd" | qsub` (or `qsub -`): job name `STDIN`".
        [] => {}
        [path] if path == "-" => {}
        [path] => {
            submission.name = base(path);
            // "`qsub nosuch.sh`: `qsub: script file:: No such file or directory`", exit 1.
            let text = fs::read(path)
                .map_err(|error| refusal(format!("script file:: {}", reason(&error)), 1))?;
            return Ok(Body::Script(Text(text)));
        }
        // "`qsub script.sh one two` (script arguments): usage text", exit 2.
        _ => return Err(refusal("script has no arguments", 2)),
    }
    "STDIN".clone_into(&mut submission.name);
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(|error| refusal(format!("script file:: {}", reason(&error)), 1))?;
    Ok(Body::Script(Text(text)))
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory",
        std::io::ErrorKind::PermissionDenied => "Permission denied",
        _ => "Input/output error",
    }
}

/// Prints the id, and waits with `-W block=true`: "prints the id, waits, 6 (the job's status)".
fn taken(client: &Client, number: u64, is_array: bool, quiet: bool, block: bool) -> u8 {
    // "`qsub -z ...`: prints nothing".
    if !quiet {
        let brackets = if is_array { "[]" } else { "" };
        client.print(&format!("{number}{brackets}.{}\n", client.options.server));
    }
    if !block {
        return 0;
    }
    loop {
        let Ok(Answer::Jobs(jobs)) = client.ask(&Request::List(Some(vec![number]))) else {
            return 1;
        };
        match jobs.first() {
            Some(job) if !job.is_ended() => std::thread::sleep(Duration::from_millis(50)),
            Some(job) => {
                let status = job
                    .last_outcome()
                    .and_then(|outcome| exit_status(&outcome.how, outcome.cause.as_ref()));
                return status.unwrap_or(1) as u8;
            }
            None => return 0,
        }
    }
}

/// The reading of options into a submission.
struct Reading<'a> {
    client: &'a Client,
    submission: Submission,
    quiet: bool,
    block: bool,
    all: bool,
    lists: Vec<Value>,
    variables: Vec<variables::Variable>,
    limit: Option<u32>,
}

impl<'a> Reading<'a> {
    fn new(client: &'a Client, submission: Submission) -> Self {
        Self {
            client,
            submission,
            quiet: false,
            block: false,
            all: false,
            lists: Vec::new(),
            variables: Vec::new(),
            limit: None,
        }
    }

    fn keep(&mut self, name: &str, value: impl Into<Value>) {
        self.submission.more.insert(name.to_owned(), value.into());
    }

    fn option(&mut self, letter: char, value: &str) -> Result<(), Refusal> {
        let is_one_of = |letters: &str| {
            !value.is_empty() && value.chars().all(|letter| letters.contains(letter))
        };
        let check = |right: bool| if right { Ok(()) } else { Err(illegal(letter)) };
        if torque::option(self.client.dialect, &mut self.submission, letter, value)
            .ok_or_else(|| illegal(letter))?
        {
            return Ok(());
        }
        match letter {
            'N' => self.name(value)?,
            'J' => match array::parse(value).ok_or_else(|| illegal('J'))? {
                array::Written::Array(array) => self.submission.array = Some(array),
                array::Written::RefusedByServer => self.keep("bad_array", true),
            },
            'l' => {
                check(value.contains('='))?;
                self.lists.push(value.into());
            }
            'q' => value.clone_into(&mut self.submission.queue),
            'o' | 'e' => {
                check(!value.is_empty())?;
                let path = Some(value.into());
                if letter == 'o' {
                    self.submission.stdout = path;
                } else {
                    self.submission.stderr = path;
                }
            }
            'j' => {
                check(matches!(value, "oe" | "eo" | "n"))?;
                self.keep("join", value);
            }
            'k' => {
                check(is_one_of("oednx"))?;
                self.keep("keep", value);
            }
            'R' => {
                check(is_one_of("oe"))?;
                self.keep("remove", value);
            }
            'a' => {
                let when = super::print::date_time(value).ok_or_else(|| illegal('a'))?;
                self.submission.not_before = Some(when);
            }
            'h' => self.submission.held = true,
            'r' => {
                check(matches!(value, "y" | "n"))?;
                self.keep("rerunable", value == "y");
            }
            'A' => self.keep("account", value),
            'P' => self.keep("project", value),
            'M' => self.keep("mail_users", value),
            'm' => {
                check(is_one_of("abejn"))?;
                self.keep("mail_points", value);
            }
            'p' => {
                let priority: i64 = value.parse().map_err(|_| illegal('p'))?;
                check((-1024..=1023).contains(&priority))?;
                self.keep("priority", priority);
            }
            'S' => self.keep("shell", value.split(['@', ',']).next().unwrap_or_default()),
            'v' => {
                let listed = variables::listed(value, variables::own)
                    .ok_or_else(|| refusal("cannot send environment with the job", 1))?;
                self.variables.extend(listed);
            }
            'V' => self.all = true,
            'W' => self.attributes(value)?,
            'z' => self.quiet = true,
            // A job with a terminal is of no use where nobody types.
            'I' | 'X' | 'G' => {
                return Err(refusal("interactive jobs are not part of the fake", 1));
            }
            _ => {}
        }
        Ok(())
    }

    /// "Names (`-N`): space, `/`, `:`, `[`, `]` refused (`illegal -N value`, exit 2). Accepted here:
    /// leading digit, all-digit, leading `-`; 230 characters ok, 231 -> `qsub: Job name is too long`
    /// \[2\]."
    fn name(&mut self, name: &str) -> Result<(), Refusal> {
        if name.chars().count() > 230 {
            return Err(refusal("Job name is too long", 2));
        }
        let odd = |letter: char| letter.is_whitespace() || "/:[]".contains(letter);
        if name.is_empty() || name.contains(odd) {
            return Err(illegal('N'));
        }
        name.clone_into(&mut self.submission.name);
        Ok(())
    }

    fn attributes(&mut self, text: &str) -> Result<(), Refusal> {
        let wrong = || illegal('W');
        for (name, value) in pairs(text).ok_or_else(wrong)? {
            let is_true = matches!(
                value.as_str(),
                "true" | "True" | "TRUE" | "t" | "T" | "1" | "y"
            );
            match name.as_str() {
                "depend" => {
                    let torque = torque::is(self.client.dialect);
                    let condition = depend::parse(&value, torque).ok_or_else(wrong)?;
                    self.submission.condition = Some(condition);
                }
                "umask" => {
                    u32::from_str_radix(&value, 8).map_err(|_| wrong())?;
                    self.keep("umask", value);
                }
                "block" => self.block = is_true,
                "sandbox" => {
                    if !matches!(value.as_str(), "PRIVATE" | "HOME" | "O_WORKDIR") {
                        return Err(wrong());
                    }
                    self.keep("sandbox", value);
                }
                // "`-J 0-3 -W max_run_subjobs=2`: same" as `%2`.
                "max_run_subjobs" => {
                    self.limit = Some(value.parse().map_err(|_| wrong())?);
                }
                "group_list"
                | "stagein"
                | "stageout"
                | "run_count"
                | "pwd"
                | "Output_Path"
                | "Error_Path"
                | "release_nodes_on_stageout"
                | "tolerate_node_failures"
                | "x"
                | "interactive" => self.keep(&name, value),
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Submission {
        let directory: Text = std::env::current_dir().map_or_else(
            |_| Text::from("/"),
            |path| Text::from(path.into_os_string()),
        );
        let mut passed: BTreeMap<Text, Text> = BTreeMap::new();
        let mut shown = variables::origin(self.client, &directory);
        if self.all {
            let all = variables::all();
            shown.extend(all.iter().cloned());
            passed.extend(all);
        }
        shown.extend(self.variables.iter().cloned());
        passed.extend(shown.iter().cloned());
        passed.extend(std::mem::take(&mut self.variables));
        let list = variables::attribute(&shown);
        self.keep("Variable_List", list);
        let lists = std::mem::take(&mut self.lists);
        self.keep("l", lists);
        self.keep("Submit_arguments", shlex_join(&self.client.words()));
        if let (Some(array), Some(limit)) = (&mut self.submission.array, self.limit) {
            array.limit = Some(limit);
        }
        self.submission.environment = passed.into_iter().collect();
        self.submission.directory = directory;
        self.submission
    }
}

/// Returns the arguments as one line.
fn shlex_join(words: &[String]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            if word.contains([' ', '\'', '"', '$']) {
                format!("'{word}'")
            } else {
                word.clone()
            }
        })
        .collect();
    words.join(" ")
}
