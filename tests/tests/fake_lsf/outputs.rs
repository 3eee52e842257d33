//! Where output goes.

use reflow_tests::fake::Dialect;

use crate::rig::{BOTH, Lsf};

#[test]
fn the_report_comes_first_and_errors_are_apart() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&[
            "-o",
            "single.out.%J",
            "-e",
            "single.err.%J",
            "echo out; echo err >&2; exit 7",
        ]);
        lsf.wait(&id, &["EXIT"]);
        let text = lsf.file("single.out.1");
        assert!(text.starts_with("Sender: "), "{text}");
        let subject = match dialect {
            Dialect::OpenLava => {
                "Subject: Job 1: <echo out; echo err >&2; exit 7> Exited\n".to_owned()
            }
            _ => "Subject: Job 1: <echo out; echo err >&2; exit 7> in cluster <cluster1> Exited\n"
                .to_owned(),
        };
        assert!(text.contains(&subject), "{text}");
        assert!(text.contains("Exited with exit code 7.\n"), "{text}");
        assert!(
            text.contains("The output (if any) follows:\n\nout\n"),
            "{text}"
        );
        let end = "Read file <single.err.1> for stderr output of this job.\n\n";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(lsf.file("single.err.1"), "err\n");
        // Without -e both are together.
        let id = lsf.bsub(&["-o", "both", "echo out; echo err >&2"]);
        lsf.wait(&id, &["DONE"]);
        let text = lsf.file("both");
        assert!(text.contains("follows:\n\nout\nerr\n"), "{text}");
        assert!(text.contains("Successfully completed.\n"), "{text}");
    }
}

#[test]
fn files_are_appended_to_and_named_by_patterns() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        for _ in 0..2 {
            let id = lsf.bsub(&["-o", "same", "true"]);
            lsf.wait(&id, &["DONE"]);
        }
        assert_eq!(lsf.file("same").matches("Sender:").count(), 2);
        let id = lsf.bsub(&["-o", "f.%J.%I", "true"]);
        lsf.wait(&id, &["DONE"]);
        assert!(lsf.path("f.3.0").exists());
        let id = lsf.bsub(&["-J", "a[2]", "-o", "f.%J.%I", "true"]);
        lsf.wait(&id, &["DONE"]);
        assert!(lsf.path("f.4.2").exists());
        fs_err::create_dir(lsf.path("dd")).expect("writable");
        for (asked, number) in [
            ("dd/".to_owned(), 5),
            (lsf.path("dd").display().to_string(), 6),
        ] {
            let id = lsf.bsub(&["-o", &asked, "true"]);
            lsf.wait(&id, &["DONE"]);
            assert!(lsf.path(&format!("dd/{number}.out")).exists());
        }
        let id = lsf.bsub(&["-o", "/dev/null", "true"]);
        lsf.wait(&id, &["DONE"]);
    }
}

#[test]
fn output_without_a_place_is_mailed() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub(&["-o", "missing/out", "echo lost; touch ran"]);
        lsf.wait(&id, &["DONE"]);
        assert!(lsf.path("ran").exists());
        assert!(!lsf.path("missing").exists());
        assert!(lsf.mail(&id).contains("lost"));
        let id = lsf.bsub(&["-e", "err", "echo out; echo err >&2"]);
        lsf.wait(&id, &["DONE"]);
        assert_eq!(lsf.file("err"), "err\n");
        assert!(lsf.mail(&id).contains("follows:\n\nout\n"));
    }
}
