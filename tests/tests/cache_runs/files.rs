//! Files given by the user: by name and content, and never by their times.

use reflow_tests::Case;

use crate::case;
use crate::series::{Series, system, text};

pub(crate) const CASES: &[Case] = &[
    case("a_file_counts_by_its_bytes", bytes),
    case("a_change_that_hides_behind_size_and_time_is_seen", hidden),
    case("a_path_counts_by_its_name", path),
    case("a_file_counts_by_its_name_too", name),
    case("a_directory_counts_by_all_that_is_in_it", directory),
    case("a_missing_file_is_refused_before_anything_runs", missing),
    case("one_file_of_a_list_changes_one_element", one_of_a_list),
    case("a_file_behind_a_link_counts", link),
    case("files_within_optional_and_list_count", nested),
    case("an_unreadable_file_is_refused", unreadable),
];

const COPY: &str = r#"
    [tasks.copy]
    shell = "echo copy >> $BODIES; cat {source}"
    params.source = { type = "file" }
    returns = "str"
"#;

fn bytes() {
    let series = Series::new();
    series.workflow(COPY);
    let source = series.program.write("data/source", "one");
    let flags = ["--source", text(&source)];
    let run = series.run(&flags);
    run.ran(&["copy"]);
    assert_eq!(series.value(&run, "copy"), "one");
    series.run(&flags).is_cached();
    // Of the same length, and at once.
    series.program.write("data/source", "two");
    let run = series.run(&flags);
    run.ran(&["copy"]);
    assert_eq!(series.value(&run, "copy"), "two");
    system("touch", &["-d", "2001-02-03", text(&source)]);
    series.run(&flags).is_cached();
    // Written again as it was, to a file of its own.
    fs_err::remove_file(&source).expect("it is ours");
    series.program.write("data/source", "two");
    series.run(&flags).is_cached();
    // As it was at first: that is known.
    series.program.write("data/source", "one");
    let run = series.run(&flags);
    run.is_cached();
    assert_eq!(series.value(&run, "copy"), "one");
    series.program.write("data/source", "");
    series.run(&flags).ran(&["copy"]);
}

fn hidden() {
    let series = Series::new();
    series.workflow(COPY);
    let source = series.program.write("source", "1234");
    let other = series.program.write("reference", "");
    system("touch", &["-r", text(&source), text(&other)]);
    let flags = ["--source", text(&source)];
    series.run(&flags).ran(&["copy"]);
    for content in ["1235", "1236"] {
        series.program.write("source", content);
        system("touch", &["-r", text(&other), text(&source)]);
        let run = series.run(&flags);
        run.ran(&["copy"]);
        assert_eq!(series.value(&run, "copy"), content);
    }
}

fn path() {
    let series = Series::new();
    series.workflow(&COPY.replace("\"file\"", "\"path\""));
    let source = series.program.write("source", "one");
    let flags = ["--source", text(&source)];
    series.run(&flags).ran(&["copy"]);
    series.program.write("source", "two");
    series.run(&flags).is_cached();
    let other = series.program.write("other", "one");
    series.run(&["--source", text(&other)]).ran(&["copy"]);
}

fn name() {
    let series = Series::new();
    series.workflow(COPY);
    series.program.write("a/x.csv", "one");
    series.program.write("b/x.csv", "one");
    series.run(&["--source", "a/x.csv"]).ran(&["copy"]);
    series.run(&["--source", "b/x.csv"]).ran(&["copy"]);
    let absolute = series.path("a/x.csv");
    series.run(&["--source", text(&absolute)]).is_cached();
    // A default of the workflow file is below the folder of that file.
    let default = COPY.replace("\"file\"", "\"file\", default = \"a/x.csv\"");
    series.workflow(&default);
    series.run(&[]).is_cached();
    series.program.write("a/x.csv", "two");
    series.run(&[]).ran(&["copy"]);
}

fn directory() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.count]
        shell = "echo count >> $BODIES; find -L {tree} -type f | sort | xargs cat"
        params.tree = { type = "file" }
        returns = "str"
        "#,
    );
    let home = series.path("tree");
    series.program.write("tree/a/b/c/deep", "deep\n");
    series.program.write("tree/a/b/other", "other\n");
    series.program.write("tree/top", "top\n");
    let flags = ["--tree", text(&home)];
    series.run(&flags).ran(&["count"]);
    series.run(&flags).is_cached();
    let shell = |script: &str| {
        system(
            "sh",
            &["-euc", &format!("cd '{}'; {script}", home.display())],
        );
    };
    for (what, script) in [
        ("a file added deep inside", "echo new > a/b/c/new"),
        ("an empty file added", ": > a/b/empty"),
        ("an empty directory added", "mkdir a/b/d"),
        ("a file renamed", "mv a/b/other a/b/renamed"),
        ("a file moved", "mv a/b/renamed a/renamed"),
        ("content changed deep inside", "echo DEEP > a/b/c/deep"),
        ("a file removed", "rm a/b/c/new"),
        (
            "two files exchanged",
            "mv top x; mv a/renamed top; mv x a/renamed",
        ),
        ("a link that leads nowhere", "ln -s nowhere a/link"),
        ("a link that leads elsewhere", "ln -sfn nowhere/else a/link"),
        ("a hidden file", "echo hidden > .hidden"),
        ("a file instead of a directory", "rmdir a/b/d; : > a/b/d"),
    ] {
        shell(script);
        let run = series.run(&flags);
        assert_eq!(run.bodies, ["count"], "{what}");
        assert_eq!(series.run(&flags).bodies, [""; 0], "after {what}");
    }
    for (what, script) in [
        ("touched", "find . -type f -exec touch -d 2001-02-03 {} +"),
        ("directories touched", "find . -type d -exec touch {} +"),
        (
            "written again",
            "cp a/b/c/deep x; rm a/b/c/deep; mv x a/b/c/deep",
        ),
        ("other permissions", "chmod 600 top"),
        (
            "a file behind a link",
            "mv top ../elsewhere; ln -s ../elsewhere top",
        ),
    ] {
        shell(script);
        assert_eq!(series.run(&flags).bodies, [""; 0], "{what}");
    }
    shell("echo changed > ../elsewhere");
    series.run(&flags).ran(&["count"]);
    // One that is in itself ends all the same.
    shell("ln -s .. a/up");
    let loops =
        "[tasks.loops]\nshell = \"echo loops >> $BODIES\"\nparams.tree = { type = \"file\" }\n";
    series.workflow(loops);
    series.run(&flags).ran(&["loops"]);
    series.run(&flags).is_cached();
}

fn missing() {
    let series = Series::new();
    series.workflow(COPY);
    for verb in ["run", "submit"] {
        series
            .program
            .run(&[
                verb,
                "-w",
                "reflow.toml",
                "--run-dir",
                "wrong",
                "--source",
                "gone.csv",
            ])
            .expect(2)
            .says(&["gone.csv", "source"]);
        assert!(
            !series.path("wrong/.reflow").exists(),
            "nothing is submitted"
        );
    }
    // A link that leads nowhere is missing too, and one file of many.
    system("ln", &["-s", "nowhere", text(&series.path("link"))]);
    series
        .program
        .run(&[
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            "wrong",
            "--source",
            "link",
        ])
        .expect(2)
        .says(&["link"]);
    series.program.write("there", "");
    series.workflow(&COPY.replace("\"file\"", "\"list[file]\""));
    series
        .program
        .run(&[
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            "wrong",
            "--source",
            "there",
            "--source",
            "gone",
        ])
        .expect(2)
        .says(&["gone"]);
    // A path need not be there.
    series.workflow(
        "[tasks.name]\nshell = \"echo name >> $BODIES; echo {source}\"\n\
         params.source = { type = \"path\" }\nreturns = \"str\"\n",
    );
    series.run(&["--source", "gone"]).ran(&["name"]);
}

const LISTED: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; ls {folder}/*.txt"
    params.folder = { type = "file" }
    returns = "list[file]"
    output = "lines"
    [tasks.read]
    array = true
    shell = "echo read $(basename {one}) >> $BODIES; cat {one}"
    params.one = { type = "file", result = "list" }
    returns = "str"
    [tasks.all]
    shell = "echo all >> $BODIES; echo {texts}"
    params.texts = { type = "list[str]", result = "read" }
    returns = "str"
"#;

fn one_of_a_list() {
    let series = Series::new();
    series.workflow(LISTED);
    for name in ["a", "b", "c"] {
        series.program.write(&format!("data/{name}.txt"), name);
    }
    let flags = ["--folder", "data"];
    let run = series.run(&flags);
    run.ran(&["list", "read a.txt", "read b.txt", "read c.txt", "all"]);
    series.run(&flags).is_cached();
    series.program.write("data/b.txt", "B");
    let run = series.run(&flags);
    run.ran(&["list", "read b.txt", "all"]);
    assert_eq!(series.value(&run, "all"), "a B c");
    series.program.write("data/aa.txt", "aa");
    let run = series.run(&flags);
    run.ran(&["list", "read aa.txt", "all"]);
    assert_eq!(series.value(&run, "all"), "a aa B c");
    fs_err::remove_file(series.path("data/aa.txt")).expect("it is ours");
    series.run(&flags).is_cached();
}

fn link() {
    let series = Series::new();
    series.workflow(COPY);
    series.program.write("one", "one");
    series.program.write("two", "two");
    let link = series.path("link");
    system("ln", &["-s", "one", text(&link)]);
    let flags = ["--source", "link"];
    series.run(&flags).ran(&["copy"]);
    system("ln", &["-sfn", "two", text(&link)]);
    let run = series.run(&flags);
    run.ran(&["copy"]);
    assert_eq!(series.value(&run, "copy"), "two");
    // What it leads to has changed, the link has not.
    series.program.write("two", "2");
    series.run(&flags).ran(&["copy"]);
    fs_err::remove_file(&link).expect("it is ours");
    series.program.write("link", "2");
    series.run(&flags).is_cached();
}

fn nested() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.join]
        shell = "echo join >> $BODIES; cat {parts} {more} /dev/null"
        params.parts = { type = "list[file]", default = [] }
        params.more = { type = "optional[file]" }
        returns = "str"
        "#,
    );
    series.program.write("a", "a\n");
    series.program.write("b", "b\n");
    let flags = ["--parts", "a", "--parts", "b", "--more", "b"];
    let run = series.run(&flags);
    assert_eq!(series.value(&run, "join"), "a\nb\nb");
    series.program.write("a", "A\n");
    series.run(&flags).ran(&["join"]);
    series.run(&flags).is_cached();
    series.run(&flags[..4]).ran(&["join"]);
    series
        .run(&["--parts", "b", "--parts", "a", "--more", "b"])
        .ran(&["join"]);
    series.program.write("b", "B\n");
    let run = series.run(&flags);
    run.ran(&["join"]);
    assert_eq!(series.value(&run, "join"), "A\nB\nB");
}

fn unreadable() {
    // Root reads everything, but nobody can read a pipe that nothing writes to.
    let series = Series::new();
    series.workflow(COPY);
    let pipe = series.path("pipe");
    system("mkfifo", &[text(&pipe)]);
    series
        .program
        .run(&[
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            "wrong",
            "--source",
            "pipe",
        ])
        .expect(2)
        .says(&["pipe"]);
}
