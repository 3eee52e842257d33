//! Commands made and outputs read, and the scripts run by a real shell.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CompiledCommand, Invocation};
use crate::id::ParameterName;
use crate::workflow::TaskDescription;

struct Command {
    compiled: CompiledCommand,
    inputs: BTreeMap<ParameterName, Value>,
}

/// A task with a body and parameters `(name, type, value)`.
fn task(body: &Value, returns: &str, parameters: &[(&str, &str, Value)]) -> TaskDescription {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, ty, _)| json!({"name": name, "type": ty, "kind": "plain"}))
        .collect();
    serde_json::from_value(json!({
        "name": "t", "returns": returns, "parameters": parameters, "body": body}))
    .expect("a task")
}

fn compile(
    body: impl Into<Value>,
    returns: &str,
    parameters: &[(&str, &str, Value)],
) -> Result<Command, String> {
    let compiled =
        CompiledCommand::compile(&task(&body.into(), returns, parameters)).map_err(|errors| {
            let text = errors.to_string();
            text.lines()
                .skip(1)
                .map(str::trim_start)
                .collect::<Vec<_>>()
                .join("\n")
        })?;
    let inputs = parameters
        .iter()
        .map(|(name, _, value)| (ParameterName::new(*name).expect("a name"), value.clone()))
        .collect();
    Ok(Command { compiled, inputs })
}

fn words(words: &[&str]) -> Value {
    json!({"program": {"command": words}})
}

fn script(script: &str) -> Value {
    json!({"program": {"shell": {"script": script, "interpreter": ["bash", "-euo", "pipefail"]}}})
}

impl Command {
    fn prepare(&self, run_dir: &str) -> Result<Invocation, String> {
        self.compiled
            .prepare(&self.inputs, Path::new(run_dir), Path::new("/scratch"))
            .map_err(|error| error.to_string())
    }

    fn argv(&self) -> Vec<String> {
        self.prepare("/run dir").expect("prepared").argv
    }

    fn script(&self) -> String {
        let invocation = self.prepare("/run dir").expect("prepared");
        let (_, content) = invocation.files.last().expect("a script");
        String::from_utf8(content.clone()).expect("UTF-8")
    }

    fn collect(&self, stdout: &str, run_dir: &Path) -> Result<Value, String> {
        self.compiled
            .collect(stdout.as_bytes(), &self.inputs, run_dir)
            .map_err(|error| error.to_string())
    }
}

fn argv(template: &[&str], parameters: &[(&str, &str, Value)]) -> Vec<String> {
    compile(words(template), "str", parameters)
        .expect("compiled")
        .argv()
}

fn refused(body: Value, parameters: &[(&str, &str, Value)]) -> String {
    match compile(body, "str", parameters) {
        Ok(_) => panic!("the template was accepted"),
        Err(text) => text,
    }
}

#[test]
fn a_value_is_one_argument_whatever_characters_it_has() {
    let nasty = " '\"$x; rm\n*é{a}";
    let parameters = [("x", "str", json!(nasty)), ("n", "int", json!(-3))];
    assert_eq!(
        argv(
            &[
                "p",
                "{x}",
                "--x={x}:{n}",
                "{run_dir}/o",
                "{{x}}",
                "${x}",
                "{",
                "{}",
                "{a,b}"
            ],
            &parameters
        ),
        [
            "p",
            nasty,
            &format!("--x={nasty}:-3"),
            "/run dir/o",
            "{x}",
            "${x}",
            "{",
            "{}",
            "{a,b}"
        ]
    );
}

#[test]
fn lists_become_several_arguments_and_null_drops_its_word() {
    let parameters = [
        ("xs", "list[int]", json!([1, 2])),
        ("none", "list[str]", json!([])),
        ("o", "optional[int]", json!(null)),
        ("d", "dict", json!({"a": [1]})),
        ("j", "json", json!("text")),
        ("b", "bool", json!(true)),
        ("f", "float", json!(1.5)),
    ];
    assert_eq!(
        argv(
            &[
                "p", "{xs}", "{none}", "{o}", "--o={o}", "{d}", "{j}", "{b}", "{f}"
            ],
            &parameters
        ),
        ["p", "1", "2", "{\"a\":[1]}", "\"text\"", "true", "1.5"]
    );
}

#[test]
fn errors_of_a_command_name_word_and_position() {
    let parameters = [("xs", "list[int]", json!([])), ("part", "file", json!("p"))];
    insta::assert_snapshot!(refused(words(&["p", "--x={xs}", "a {prat}", "{other}", "{part:json}", "{part:file}"]), &parameters), @"
    command[1] at 1:5: the list `xs` inside a larger word (give it a word of its own, which becomes one argument for each entry)
    command[2] at 1:3: there is no parameter `prat` (nearest parameter: `part`; write `{{prat}}` for the text itself)
    command[3] at 1:1: there is no parameter `other` (write `{{other}}` for the text itself)
    command[4] at 1:1: `{part:json}`: there is no form `json` (`{part:file}` gives a file that holds the value)
    ");
    insta::assert_snapshot!(refused(words(&[]), &[]), @"command: a command needs a program, its first word");
    insta::assert_snapshot!(refused(json!({"colour": 1}), &[]), @"body: not the body of a command task: unknown field `colour`, expected one of `program`, `output`, `verify`");
}

#[test]
fn values_are_quoted_where_they_stand_in_a_script() {
    let parameters = [
        ("s", "str", json!("it's")),
        ("n", "int", json!(-3)),
        ("xs", "list[str]", json!(["a b", ""])),
        ("o", "optional[str]", json!(null)),
    ];
    let made = |text: &str| {
        compile(script(text), "str", &parameters)
            .expect("compiled")
            .script()
    };
    assert_eq!(made("cat < {s}"), "cat < 'it'\\''s'\n");
    assert_eq!(made("f={s}.txt"), "f='it'\\''s'.txt\n");
    assert_eq!(
        made("echo $((2-{n})) {n} {n}>o"),
        "echo $((2-(-3))) -3 '-3'>o\n"
    );
    assert_eq!(
        made("for ((i=0; i<{n}; i++)); do :; done"),
        "for ((i=0; i<(-3); i++)); do :; done\n"
    );
    assert_eq!(made("echo {1..{n}}"), "echo {1..-3}\n");
    assert_eq!(
        made("a=({xs}); b {xs}; c $({xs})"),
        "a=('a b' ''); b 'a b' ''; c $('a b' '')\n"
    );
    assert_eq!(made("echo {o} x{o}"), "echo  x\n");
    assert_eq!(made("echo \"$(cat {s})\""), "echo \"$(cat 'it'\\''s')\"\n");
    assert_eq!(
        made("echo \"$(( {n} + ${#x} ))\""),
        "echo \"$(( (-3) + ${#x} ))\"\n"
    );
    assert_eq!(made("ls {run_dir}/*.txt"), "ls '/run dir'/*.txt\n");
}

#[test]
fn other_braces_are_left_alone() {
    let parameters = [("part", "str", json!("p"))];
    for text in [
        "awk '{ n += $1 } END { print n }'",
        "awk '{print}' x",
        "{ echo; }",
        "echo {a,b} ${part} {} {1..3}",
        "find . -exec ls {} \\;",
        "f() { echo \"${x:-{}}\"; }",
        "# {part} and {prat}, it's a comment",
        "echo a \\\n# it's {part}\necho b",
        "echo a#b \\{part}",
        "echo \\'",
        "x=$(case a in a) echo 1;; (b) echo 2;; esac)",
        "echo \"$(echo case) it's\"",
        "cat <<'EOF' && echo\n it's { }\nEOF\necho x",
        "cat <<-EOF\n\tit's\n\tEOF\necho x",
        "cat <<< x; (( 1 << 2 )); echo $(( 1 << 2 ))",
        "[[ $a =~ ^(a|b)$ && ! -f b ]]",
        "echo $'it\\'s' $# $$ ${#x}",
    ] {
        let command = compile(script(text), "str", &parameters).expect(text);
        assert_eq!(command.script(), format!("{text}\n"));
    }
    let doubled = compile(script("exec {{fd}}>x; awk '{{part}}'"), "str", &parameters);
    assert_eq!(
        doubled.expect("compiled").script(),
        "exec {fd}>x; awk '{part}'\n"
    );
}

#[test]
fn values_where_no_quoting_holds_are_refused_with_their_position() {
    let parameters = [
        ("part", "str", json!("p")),
        ("n", "int", json!(1)),
        ("xs", "list[int]", json!([])),
    ];
    let text = "echo '{part}'\necho \"a {part}\" $'{part}'\necho ${x:-{part}} `ls {part}`\necho $(( {part} )) x{xs}\ncat <<EOF\n {part}\nEOF\necho \"$(echo '{n}')\"";
    insta::assert_snapshot!(refused(script(text), &parameters), @"
    shell at 1:7: `{part}` inside quotes: values are quoted for you (end the quotes before it, or write `{{part}}` for the text itself)
    shell at 2:9: `{part}` inside quotes: values are quoted for you (end the quotes before it, or write `{{part}}` for the text itself)
    shell at 2:19: `{part}` inside quotes: values are quoted for you (end the quotes before it, or write `{{part}}` for the text itself)
    shell at 3:11: `{part}` inside `${}` (set a variable before it (`x={part}`))
    shell at 3:23: `{part}` inside backticks, which change what is quoted (write `$(...)` for the backticks)
    shell at 4:10: `{part}` is str: only an int may stand in arithmetic (take an int, or set a variable before it)
    shell at 4:21: the list `xs` inside a larger word (put spaces around it: it becomes one word for each entry)
    shell at 6:2: `{part}` inside a here-document: values are quoted for you (set a variable before it (`x={part}`) and write `$x`, or write `{{part}}` for the text itself)
    shell at 8:15: `{n}` inside quotes: values are quoted for you (end the quotes before it, or write `{{n}}` for the text itself)
    ");
}

#[test]
fn names_that_are_no_parameters_are_refused() {
    let parameters = [("part", "str", json!("p"))];
    insta::assert_snapshot!(refused(script("cat {prat}; exec {fd}>x\nawk '{prat}'"), &parameters), @"
    shell at 1:5: there is no parameter `prat` (nearest parameter: `part`; write `{{prat}}` for the text itself)
    shell at 1:18: there is no parameter `fd` (write `{{fd}}` for the text itself)
    shell at 2:6: there is no parameter `prat` (nearest parameter: `part`; write `{{prat}}` for the text itself)
    ");
}

#[test]
fn what_is_never_closed_is_refused() {
    insta::assert_snapshot!(refused(script("echo 'a"), &[]), @"shell at 1:6: the quote is opened here and never closed");
    insta::assert_snapshot!(refused(script("echo x $(ls \"a\""), &[]), @"shell at 1:8: `$(` is opened here and never closed");
    let deep = "$(".repeat(100_000);
    assert!(refused(script(&deep), &[]).contains("too many"));
}

#[test]
fn only_shells_interpret_scripts() {
    let body = json!({"program": {"shell": {"script": "print({x})", "interpreter": ["python3"]}}});
    insta::assert_snapshot!(refused(body, &[("x", "int", json!(1))]), @r#"interpreter: `python3` runs no shell that values could be quoted for (shells: bash, sh, dash, ash, ksh, mksh, zsh; for other programs write `command`, for example `["python3", "-c", ...]`)"#);
    let body = json!({"program": {"shell": {
        "script": "echo {x}", "interpreter": ["apptainer", "exec", "img", "/bin/sh", "-eu"]}}});
    let command = compile(body, "str", &[("x", "int", json!(1))]).expect("compiled");
    assert_eq!(
        command.argv().last().map(String::as_str),
        Some("/scratch/script")
    );
}

#[test]
fn a_file_holds_a_value() {
    let parameters = [
        ("xs", "list[str]", json!(["a b", "é"])),
        ("d", "dict", json!({"a": 1})),
        ("s", "str", json!("text")),
    ];
    let command = compile(
        words(&["p", "@{xs:file}", "{d:file}", "{s:file}"]),
        "str",
        &parameters,
    );
    let invocation = command
        .expect("compiled")
        .prepare("/run")
        .expect("prepared");
    assert_eq!(
        invocation.argv,
        ["p", "@/scratch/xs.txt", "/scratch/d.json", "/scratch/s.txt"]
    );
    let contents: Vec<_> = invocation
        .files
        .iter()
        .map(|(_, content)| String::from_utf8_lossy(content).into_owned())
        .collect();
    assert_eq!(contents, ["a b\né\n", "{\"a\":1}", "text"]);
    let command = compile(script("cat {xs:file}"), "str", &parameters).expect("compiled");
    assert_eq!(command.script(), "cat '/scratch/xs.txt'\n");
}

#[test]
fn values_that_no_command_can_take_are_named() {
    let fault = |body, ty: &str, value: Value| {
        let command = compile(body, "str", &[("x", ty, value)]).expect("compiled");
        command.prepare("/run").expect_err("refused")
    };
    insta::assert_snapshot!(fault(words(&["p", "{x}"]), "str", json!("a\0b")), @"the value of parameter `x` has a NUL character, which no command can be given: use `{x:file}`");
    insta::assert_snapshot!(fault(script("p {x:file}"), "list[str]", json!(["a", "b\nc"])), @"entry 1 of parameter `x` has a line break, so it is no line of a file: take the list as `json`");
    insta::assert_snapshot!(fault(script("p $(({x}))"), "int", json!(u64::MAX)), @"parameter `x` is 18446744073709551615, which is beyond what a shell computes with");
    let mut command =
        compile(words(&["{x}"]), "str", &[("x", "str", json!(""))]).expect("compiled");
    command.inputs.clear();
    insta::assert_snapshot!(command.prepare("/run").expect_err("refused"), @"parameter `x` has no value");
}

fn output(
    output: impl Into<Value>,
    returns: &str,
    stdout: &str,
    run_dir: &Path,
) -> Result<Value, String> {
    let body = json!({"program": {"command": ["p"]}, "output": output.into()});
    compile(body, returns, &[("x", "str", json!("[*]"))])?.collect(stdout, run_dir)
}

#[test]
fn standard_output_is_read_as_the_return_type() {
    let dir = Path::new("/run");
    for (form, returns, stdout, value) in [
        (json!("text"), "int", " 42 \n", json!(42)),
        (json!("text"), "str", "a b\n\n", json!("a b")),
        (json!("text"), "none", "chatter", json!(null)),
        (json!("text"), "path", "out/x\n", json!("/run/out/x")),
        (json!("text"), "list[int]", "[1, 2]\n", json!([1, 2])),
        (json!("lines"), "list[int]", "1\n2\n", json!([1, 2])),
        (json!("lines"), "list[str]", "", json!([])),
        (
            json!("lines"),
            "list[str]",
            "a\r\n\n b\n",
            json!(["a", "", " b"]),
        ),
        (json!("json"), "dict", "{\"a\": 1}", json!({"a": 1})),
    ] {
        assert_eq!(
            output(form, returns, stdout, dir),
            Ok(value),
            "{returns} {stdout:?}"
        );
    }
    let fault = |form, returns, stdout| output(form, returns, stdout, dir).expect_err("refused");
    insta::assert_snapshot!(fault(json!("text"), "int", "many\n"), @r#"standard output does not fit the return type: expected int, got "many""#);
    insta::assert_snapshot!(fault(json!("lines"), "list[int]", "1\nx\n"), @r#"line 2 of standard output does not fit the return type: expected int, got "x""#);
    insta::assert_snapshot!(fault(json!("json"), "dict", "[]"), @"standard output does not fit the return type: expected dict, got []");
    insta::assert_snapshot!(fault(json!("json"), "dict", ""), @"standard output is not JSON: EOF while parsing a value at line 1 column 0");
    insta::assert_snapshot!(fault(json!("text"), "file", "/nonexistent/x"), @"the result names a file that is not there: file `/nonexistent/x` does not exist");
    let command = compile(words(&["p"]), "str", &[]).expect("compiled");
    let error = command
        .compiled
        .collect(b"ab\xff", &command.inputs, dir)
        .expect_err("refused");
    insta::assert_snapshot!(error, @"standard output is not UTF-8 at byte 2");
}

#[test]
fn outputs_that_the_return_type_cannot_hold_are_refused() {
    let fault = |form, returns| output(form, returns, "", Path::new("/run")).expect_err("refused");
    insta::assert_snapshot!(fault(json!("lines"), "int"), @"output: lines are a list, but the task returns int");
    insta::assert_snapshot!(fault(json!({"glob": "*"}), "file"), @"output.glob: a pattern finds a list of paths, but the task returns file: write list[file] or list[path]");
    insta::assert_snapshot!(fault(json!({"glob": "[a"}), "list[file]"), @"output.glob: error parsing glob '[a': unclosed character class; missing ']'");
    insta::assert_snapshot!(fault(json!({"glob": "{x:file}"}), "list[file]"), @"output.glob at 1:1: `{x:file}` is a file for a command to read (write `{x}` for the value)");
}

#[test]
fn patterns_find_files_sorted_with_values_literal() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = dir.path().join("a [b] {x} *");
    for name in [
        "b.txt",
        "a.txt",
        ".hidden.txt",
        "[*]-1",
        "x-1",
        "sub/c.txt",
        "sub/.h/d.txt",
        "dir.txt/e",
    ] {
        let path = base.join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs_err::write(path, "").expect("written");
    }
    let find = |pattern: &str, returns: &str| {
        let found = output(json!({"glob": pattern}), returns, "", &base).expect("found");
        let root = format!("{}/", base.to_str().expect("UTF-8"));
        let names = found.as_array().expect("a list").iter().map(|path| {
            let path = path.as_str().expect("a path");
            path.strip_prefix(&root).expect("inside").to_owned()
        });
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(find("*.txt", "list[file]"), "a.txt b.txt");
    assert_eq!(find("{run_dir}/*.txt", "list[file]"), "a.txt b.txt");
    assert_eq!(find("./*.txt", "list[path]"), "a.txt b.txt dir.txt");
    assert_eq!(find("{x}-*", "list[file]"), "[*]-1");
    assert_eq!(find(".*.txt", "list[file]"), ".hidden.txt");
    assert_eq!(find("**/*.txt", "list[file]"), "a.txt b.txt sub/c.txt");
    assert_eq!(find("sub/**", "list[file]"), "sub/c.txt");
    assert_eq!(find("nothing/*", "list[file]"), "");
    assert_eq!(find("?.{txt,csv}", "list[file]"), "a.txt b.txt");
}

#[test]
fn a_found_name_that_is_not_utf8_is_an_error_that_names_it() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().expect("a directory");
    let name = std::ffi::OsStr::from_bytes(b"a\xff.txt");
    fs_err::write(dir.path().join(name), "").expect("written");
    let error =
        output(json!({"glob": "*.txt"}), "list[file]", "", dir.path()).expect_err("refused");
    assert!(
        error.contains("a\u{fffd}.txt` has a name that is not UTF-8"),
        "{error}"
    );
    assert_eq!(
        output(json!({"glob": "*.csv"}), "list[file]", "", dir.path()),
        Ok(json!([]))
    );
}

#[test]
fn an_output_file_is_read_or_named() {
    let dir = tempfile::tempdir().expect("a directory");
    fs_err::write(dir.path().join("n"), " 7\n").expect("written");
    let file = |name: &str, returns: &str| output(json!({"file": name}), returns, "", dir.path());
    assert_eq!(file("n", "int"), Ok(json!(7)));
    assert_eq!(file("{run_dir}/n", "file"), Ok(json!(dir.path().join("n"))));
    assert!(
        file("n", "bool")
            .expect_err("refused")
            .contains("expected bool, got \"7\"")
    );
    assert!(file("m", "int").is_err());
    assert!(file("m", "path").is_err());
}

/// Runs a script and returns its standard output.
#[expect(
    clippy::disallowed_methods,
    reason = "what bash makes of the quoting can only be seen by running it"
)]
fn bash(script: &str) -> String {
    let output = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shell_gives_back_every_value(
        values in prop::collection::vec("[ -~é\n\t'\"$`\\\\{}!*]{0,20}", 1..4),
        number in any::<i32>(),
    ) {
        let parameters = [
            ("x", "str", json!(values[0])),
            ("xs", "list[str]", json!(values)),
            ("n", "int", json!(number)),
        ];
        let text = "p() { printf '%s\\0' \"$@\"; }\np {x} a{x}b {xs} {n} $(({n}+0))\nv={x}; p \"$v\" \"$(printf %s {x}; echo .)\"\n[[ \"$v\" == {x} ]] && p same";
        let script = compile(script(text), "str", &parameters).expect("compiled").script();
        let output = bash(&script);
        let mut expected = vec![values[0].clone(), format!("a{}b", values[0])];
        expected.extend(values.iter().cloned());
        expected.extend([number.to_string(), number.to_string()]);
        expected.extend([values[0].clone(), format!("{}.", values[0]), "same".to_owned()]);
        prop_assert_eq!(output.split_terminator('\0').collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_script_makes_the_scanner_panic(text in "[a-c{}()'\"$`\\\\<\n #;:=é]{0,60}") {
        let parameters = [("a", "str", json!("v")), ("b", "int", json!(1))];
        if let Ok(command) = compile(script(&text), "str", &parameters) {
            let _ = command.script();
        }
    }

    #[test]
    fn an_escaped_text_is_a_template_for_itself(text in "[a-c{}$:é]{0,20}") {
        let template = super::template::escaped(&text);
        let parameters = [("a", "str", json!("v"))];
        prop_assert_eq!(argv(&["p", &template], &parameters)[1].clone(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whatever the script looks like: where it was accepted, bash runs nothing of a value.
    #[test]
    fn no_accepted_script_lets_a_value_out_of_its_quotes(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "{a}", "{a}", "{a}", "'", "\"", "$(", ")", "(", "`", "\\", "\n", "\n", " ", " # ",
                "<<E\n", "\nE\n", "<<-'E'", "E", "${x", "${x:-", "}", "((", "))", "$((", "case a in ",
                "a) ", ";;", " esac", "$'", ";", ":", "x=", "{", "<<<", "$", "\\\n", "[[ ", " ]]", "#",
            ]),
            1..14,
        ),
    ) {
        let value = "\nOWN\n';OWN;'\";OWN;\"$(OWN)`OWN`\nE\nOWN\n)OWN\n}OWN\n#";
        let parameters = [("a", "str", json!(value))];
        if let Ok(command) = compile(script(&parts.concat()), "str", &parameters) {
            let script = command.script();
            let output = unchecked_bash(&format!("OWN() {{ builtin echo OWNED; }}\n{script}"));
            prop_assert!(!output.contains("OWNED"), "{}\n---\n{}", parts.concat(), script);
        }
    }
}

/// Runs a script that may be wrong, without any program to call, and returns its standard output.
#[expect(
    clippy::disallowed_methods,
    reason = "what bash makes of the quoting can only be seen by running it"
)]
fn unchecked_bash(script: &str) -> String {
    let output = std::process::Command::new("/bin/bash")
        .args(["-c", script])
        .env_clear()
        .env("PATH", "/nonexistent")
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("bash runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
