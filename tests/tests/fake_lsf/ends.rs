//! Ends: exit codes, signals, kills, limits.

use std::time::Duration;

use reflow_tests::fake::Dialect;

use crate::rig::{BOTH, Lsf};

#[test]
fn ends_have_their_sentences() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        fs_err::write(lsf.path("killed.sh"), "#!/bin/bash\nkill -9 $$\n").expect("writable");
        fs_err::set_permissions(
            lsf.path("killed.sh"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("ours");
        let quirk = match dialect {
            // "command STRING whose own shell dies [...] | **DONE, exit 0** (openlava wrapper quirk".
            Dialect::OpenLava => "Done successfully.",
            _ => "Exited with exit code 137.",
        };
        for (command, sentence) in [
            ("exit 7", "Exited with exit code 7."),
            ("exit 200", "Exited with exit code 200."),
            ("true", "Done successfully."),
            ("./killed.sh", "Exited with exit code 137."),
            ("kill -9 $$", quirk),
            ("exec ./killed.sh", quirk),
            ("nosuchcommand", "Exited with exit code 127."),
        ] {
            let id = lsf.bsub(&[command]);
            let long = || lsf.long("bjobs", &id);
            lsf.until(command, || long().contains("The CPU time used"));
            assert!(long().contains(sentence), "{command}: {}", long());
        }
        for (signal, code) in [("-9", 137), ("-SEGV", 139)] {
            let script = format!("#!/bin/bash\nkill {signal} $$\n");
            let id = lsf.bsub_script(&[], &script);
            lsf.wait(&id, &["EXIT"]);
            let sentence = format!("Exited with exit code {code}.");
            assert!(lsf.long("bjobs", &id).contains(&sentence));
            assert!(
                lsf.long("bhist", &id)
                    .contains(sentence.trim_end_matches('.'))
            );
        }
    }
}

#[test]
fn a_killed_job_ends_with_130() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let plain = lsf.bsub(&["sleep 100"]);
        let script = lsf.bsub_script(&[], "#!/bin/bash\nsleep 100\n");
        for id in [&plain, &script] {
            lsf.wait(id, &["RUN"]);
            lsf.run("bkill", &[id])
                .is(&format!("Job <{id}> is being terminated"), "", 0);
            lsf.wait(id, &["EXIT"]);
            let text = lsf.long("bjobs", id);
            assert!(text.contains("Exited with exit code 130."), "{text}");
            assert_eq!(
                text.contains("TERM_OWNER: job killed by owner"),
                dialect == Dialect::Lsf
            );
        }
        let pending = lsf.bsub(&["-H", "true"]);
        lsf.wait(&pending, &["PSUSP"]);
        lsf.run("bkill", &[&pending])
            .is(&format!("Job <{pending}> is being terminated"), "", 0);
        let text = lsf.long("bjobs", &pending);
        assert!(text.contains(": Exited. The CPU time"), "{text}");
    }
}

/// "trapping job | INT, 10 s later TERM, 10 s later KILL -> `Exited by signal 9.`"
#[test]
fn a_job_that_traps_is_killed_in_the_end() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let script = "#!/bin/bash\ntrap 'echo INT >> got' INT\ntrap 'echo TERM >> got' TERM\n\
            touch ready\nwhile :; do sleep 0.05; done\n";
        let id = lsf.bsub_script(&[], script);
        lsf.until("the trap", || lsf.path("ready").exists());
        lsf.run("bkill", &[&id]);
        lsf.wait(&id, &["EXIT"]);
        assert_eq!(lsf.file("got"), "INT\nTERM\n");
        assert!(lsf.long("bjobs", &id).contains("Exited by signal 9."));
    }
}

#[test]
fn the_run_limit_sends_usr2() {
    for dialect in BOTH {
        let lsf = Lsf::with(dialect, |options| {
            options.time_scale = 120.0;
            options.limit_poll = Duration::from_millis(100);
            options.lsf.run_limit_grace = Duration::from_millis(500);
        });
        let plain = lsf.bsub(&["-W", "1", "sleep 100"]);
        let script = lsf.bsub_script(&["-W", "1"], "#!/bin/bash\nsleep 100\n");
        let traps = lsf.bsub_script(
            &["-W", "1"],
            "#!/bin/bash\ntrap 'echo USR2 >> got' USR2\nwhile :; do sleep 0.05; done\n",
        );
        for id in [&plain, &script] {
            lsf.wait(id, &["EXIT"]);
            let text = lsf.long("bjobs", id);
            assert!(text.contains("Exited with exit code 140."), "{text}");
            assert_eq!(
                text.contains("TERM_RUNLIMIT"),
                dialect == Dialect::Lsf,
                "{text}"
            );
        }
        lsf.until("the trap", || lsf.file("got") == "USR2\n");
        if dialect == Dialect::OpenLava {
            // "a job that traps USR2 was still running 52 s later".
            std::thread::sleep(Duration::from_millis(1500));
            assert_eq!(lsf.states(&traps), ["RUN"]);
            lsf.run("bkill", &[&traps]);
        }
        lsf.wait(&traps, &["EXIT"]);
    }
}

/// "Not enforced (50 MB limit, 300 MB used: DONE)."; on IBM LSF where the site says so.
#[test]
fn memory_is_enforced_where_ibm_is_told_to() {
    for (dialect, enforces, is_killed) in [
        (Dialect::OpenLava, true, false),
        (Dialect::Lsf, false, false),
        (Dialect::Lsf, true, true),
    ] {
        let lsf = Lsf::with(dialect, |options| {
            options.lsf.enforces_memory = enforces;
            options.limit_poll = Duration::from_millis(100);
        });
        // 60 MB in a variable of the shell.
        let script = "#!/bin/bash\na=$(head -c 60000000 /dev/zero | tr '\\0' x)\nsleep 2\n";
        let id = lsf.bsub_script(&["-M", "20000"], script);
        lsf.wait(&id, &[if is_killed { "EXIT" } else { "DONE" }]);
        let text = lsf.long("bjobs", &id);
        assert_eq!(text.contains("TERM_MEMLIMIT"), is_killed, "{text}");
    }
}

#[test]
fn signals_elements_and_what_cannot_be_killed() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let id = lsf.bsub_script(
            &[],
            "#!/bin/bash\ntrap 'touch got; exit 0' USR1\ntouch ready\nwhile :; do sleep 0.05; done\n",
        );
        lsf.until("the trap", || lsf.path("ready").exists());
        lsf.run("bkill", &["-s", "USR1", &id])
            .is(&format!("Job <{id}> is being signaled"), "", 0);
        lsf.wait(&id, &["DONE"]);
        let said = lsf.run("bkill", &[&id]);
        said.is("", &format!("Job <{id}>: Job has already finished"), 255);
        let said = lsf.run("bkill", &["99999"]);
        said.is("", "Job <99999>: No matching job found", 255);
        let array = lsf.bsub(&["-J", "k[1-4]", "sleep 100"]);
        let said = lsf.run("bkill", &[&format!("{array}[2]")]);
        said.is(&format!("Job <{array}[2]> is being terminated"), "", 0);
        let said = lsf.run("bkill", &[&format!("{array}[3-4]"), "99999"]);
        let lines =
            format!("Job <{array}[3]> is being terminated\nJob <{array}[4]> is being terminated");
        said.is(&lines, "Job <99999>: No matching job found", 255);
        lsf.wait(&array, &["RUN", "EXIT", "EXIT", "EXIT"]);
        let other = lsf.bsub(&["sleep 100"]);
        lsf.run("bkill", &["0"]);
        lsf.wait(&array, &["EXIT"; 4]);
        lsf.wait(&other, &["EXIT"]);
    }
}

/// "bkill of a whole array id (`bkill 117`, any size, held or running) | **stderr** `Job <117>: Operation
/// is in progress`, exit **255**, yet it IS carried out in the background over the next seconds".
#[test]
fn a_whole_array_is_killed_later() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        for options in [
            &["-J", "k[1-2]"][..],
            &["-H", "-J", "k[1-2]"],
            &["-J", "k[1]"],
        ] {
            let id = lsf.bsub(&[options, &["sleep 100"]].concat());
            let before = lsf.states(&id);
            let said = lsf.run("bkill", &[&id]);
            said.is("", &format!("Job <{id}>: Operation is in progress"), 255);
            lsf.wait(&id, &vec!["EXIT"; before.len()]);
            let said = lsf.run("bkill", &[&id]);
            said.is("", &format!("Job <{id}>: Job has already finished"), 255);
        }
    }
}
