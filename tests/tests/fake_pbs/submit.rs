//! What is taken and what is refused.

use crate::rig::{Rig, Row, check};

#[test]
fn submissions_are_answered_as_observed() {
    let rig = Rig::open();
    rig.write("crlf.sh", "#!/bin/sh\r\necho\r\n");
    let long = "n".repeat(230);
    let longer = "n".repeat(231);
    // Each uses a number up, the refused ones of the server too.
    let by_server: &[Row] = &[
        (&["qsub", "ok.sh"], 0, "#.localhost\n", ""),
        (
            &["qsub", "--", "/bin/echo", "hello"],
            0,
            "#.localhost\n",
            "",
        ),
        (&["qsub", "-z", "ok.sh"], 0, "", ""),
        (
            &["qsub", "-q", "nosuchq", "ok.sh"],
            170,
            "",
            "qsub: Unknown queue",
        ),
        (
            &["qsub", "-q", "closed", "ok.sh"],
            173,
            "",
            "qsub: Queue is not enabled",
        ),
        (
            &["qsub", "-q", "short", "-l", "walltime=01:00:00", "ok.sh"],
            188,
            "",
            "qsub: Job violates queue and/or server resource limits",
        ),
        (
            &["qsub", "-q", "short", "-l", "select=1:ncpus=8", "ok.sh"],
            188,
            "",
            "qsub: Job violates queue and/or server resource limits",
        ),
        (
            &["qsub", "-l", "nosuchres=1", "ok.sh"],
            187,
            "",
            "qsub: Unknown resource Resource_List.nosuchres",
        ),
        (
            &["qsub", "-l", "select=1:nosuchres=1", "ok.sh"],
            187,
            "",
            "qsub: Unknown resource: nosuchres",
        ),
        (
            &["qsub", "-l", "walltime=abc", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value Resource_List.walltime",
        ),
        (
            &["qsub", "-l", "walltime=90m", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value Resource_List.walltime",
        ),
        (
            &["qsub", "-l", "select=1:ncpus=x", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value select.ncpus",
        ),
        (
            &["qsub", "-l", "select=1:mem=1.5gb", "ok.sh"],
            166,
            "",
            "qsub: Illegal attribute or resource value select.mem",
        ),
        (
            &["qsub", "-l", "select=1:ncpus=2", "-l", "ncpus=2", "ok.sh"],
            5,
            "",
            "qsub: \"-lresource=\" cannot be used with \"select\" or \"place\", resource is: ncpus",
        ),
        (&["qsub", "-N", &long, "ok.sh"], 0, "#.localhost\n", ""),
        (&["qsub", "-N", "-1", "ok.sh"], 0, "#.localhost\n", ""),
        (&["qsub", "-J", "0-3", "ok.sh"], 0, "#[].localhost\n", ""),
        (
            &["qsub", "-J", "0-3:2%1", "ok.sh"],
            0,
            "#[].localhost\n",
            "",
        ),
        (
            &["qsub", "-J", "0-1%1:2", "ok.sh"],
            166,
            "",
            "qsub: Error (15014) submitting job",
        ),
        (
            &["qsub", "-h", "-J", "0-9999", "ok.sh"],
            0,
            "#[].localhost\n",
            "",
        ),
        (
            &["qsub", "-J", "0-10000", "ok.sh"],
            3,
            "",
            "qsub: Array job exceeds server or queue size limit",
        ),
        (
            &["qsub", "-W", "depend=afterok:99999", "ok.sh"],
            0,
            "#.localhost\n",
            "",
        ),
    ];
    check(&rig, by_server);
    let by_client: &[Row] = &[
        (
            &["qsub", "ok.sh", "one", "two"],
            2,
            "",
            "qsub: script has no arguments",
        ),
        (
            &["qsub", "nosuch.sh"],
            1,
            "",
            "qsub: script file:: No such file or directory",
        ),
        (&["qsub", "crlf.sh"], 1, "", "qsub: script contains cr, lf"),
        (
            &["qsub", "-N", &longer, "ok.sh"],
            2,
            "",
            "qsub: Job name is too long",
        ),
        (
            &["qsub", "-t", "0-3", "ok.sh"],
            2,
            "",
            "qsub: invalid option -- 't'",
        ),
        (
            &["qsub", "-v", "ODD", "ok.sh"],
            1,
            "",
            "qsub: cannot send environment with the job",
        ),
    ];
    check(&rig, by_client);
    for name in ["a b", "a/b", "a:b", "a[b", "a]b"] {
        check(
            &rig,
            &[(
                &["qsub", "-N", name, "ok.sh"],
                2,
                "",
                "qsub: illegal -N value",
            )],
        );
    }
    for array in ["0-0", "5-5", "3", "5-1", "-1-3", "1,3,5"] {
        check(
            &rig,
            &[(
                &["qsub", "-J", array, "ok.sh"],
                2,
                "",
                "qsub: illegal -J value",
            )],
        );
    }
    for depend in [
        "afterwards:1",
        "afterok:53[0]",
        "afterokarray:53[]",
        "afterok",
    ] {
        let depend = format!("depend={depend}");
        check(
            &rig,
            &[(
                &["qsub", "-W", &depend, "ok.sh"],
                2,
                "",
                "qsub: illegal -W value",
            )],
        );
    }
}
