//! Arrays.

use crate::rig::Rig;

#[test]
fn elements_know_what_they_are() {
    let rig = Rig::open();
    rig.write(
        "show.sh",
        "#!/bin/sh\necho $PBS_JOBID $PBS_ARRAY_INDEX $PBS_ARRAY_ID ${NONE-unset} > \"$PBS_O_WORKDIR/$PBS_JOBID\"\n",
    );
    let id = rig.submit(&["-J", "1-7:3", "show.sh"]);
    assert_eq!(id, "0[]");
    rig.end(&id);
    for index in [1, 4, 7] {
        assert_eq!(
            rig.read(&format!("0[{index}].localhost")),
            format!("0[{index}].localhost {index} 0[].localhost unset\n")
        );
    }
    let jobs = rig.jobs();
    let keys: Vec<&str> = jobs.keys().map(String::as_str).collect();
    assert_eq!(keys, ["0[1]", "0[4]", "0[7]", "0[]"]);
    assert_eq!(jobs["0[4]"]["array_index"], 4);
    assert_eq!(jobs["0[4]"]["array_id"], "0[].localhost");
}

#[test]
fn a_plain_job_has_no_variables_of_an_array() {
    let rig = Rig::open();
    rig.shell(
        &["-o", "plain"],
        "echo ${PBS_ARRAY_INDEX-unset} ${PBS_ARRAY_ID-unset}",
    );
    assert_eq!(rig.read("plain"), "unset unset\n");
}

#[test]
fn one_element_keeps_its_index() {
    // "`-J 5-6:2`, `-J 1-3:5`: accepted: a ONE-element array (5; 1)".
    let rig = Rig::open();
    for (list, index) in [("5-6:2", 5), ("1-3:5", 1)] {
        let id = rig.submit(&["-J", list, "ok.sh"]);
        let element = id.replace("[]", &format!("[{index}]"));
        rig.end(&element);
        assert_eq!(rig.jobs()[&id]["array_indices_submitted"], list);
    }
}

#[test]
fn so_many_run_at_a_time_as_asked() {
    let rig = Rig::open();
    let id = rig.submit(&["-J", "0-3%2", "sleep.sh"]);
    let job = rig.wait(&id, "running two", |job| {
        job["array_state_count"] == "Queued:2 Running:2 Exiting:0 Expired:0"
    });
    assert_eq!(job["max_run_subjobs"], 2);
    assert_eq!(job["job_state"], "B");
    assert_eq!(job["array_indices_remaining"], "2-3");
    assert_eq!(job["array_indices_submitted"], "0-3");
    let other = rig.submit(&["-J", "0-3", "-W", "max_run_subjobs=2", "sleep.sh"]);
    let job = rig.wait(&other, "running two", |job| {
        job["array_state_count"] == "Queued:2 Running:2 Exiting:0 Expired:0"
    });
    assert_eq!(job["max_run_subjobs"], 2);
}

#[test]
fn a_limit_of_none_is_taken_and_runs_never() {
    let rig = Rig::open();
    let id = rig.submit(&["-J", "0-3%0", "ok.sh"]);
    let other = rig.submit(&["ok.sh"]);
    rig.end(&other);
    let job = &rig.jobs()[&id];
    assert_eq!(job["job_state"], "Q");
    assert_eq!(
        job["comment"],
        "Not Running: Number of concurrent running subjobs limit reached"
    );
}

#[test]
fn elements_that_have_ended_wait_for_the_others() {
    let rig = Rig::open();
    rig.write(
        "one.sh",
        "#!/bin/bash\n[ $PBS_ARRAY_INDEX = 1 ] && sleep 60\nexit $PBS_ARRAY_INDEX\n",
    );
    let id = rig.submit(&["-J", "0-2", "one.sh"]);
    let ended = rig.state("0[2]", "X");
    assert_eq!(ended["Exit_status"], 2);
    assert_eq!(ended["substate"], 93);
    rig.run(&["qdel", "0[1]"]);
    let parent = rig.end(&id);
    // "After the end all counts are 0"; "its substate was 93 whenever one failed, 91 if one was deleted".
    assert_eq!(
        parent["array_state_count"],
        "Queued:0 Running:0 Exiting:0 Expired:0"
    );
    assert_eq!(parent["array_indices_remaining"], "-");
    assert_eq!(parent["substate"], 91);
    assert_eq!(rig.jobs()["0[2]"]["job_state"], "F");
}

#[test]
fn the_parent_alone_comes_without_t() {
    let rig = Rig::open();
    let id = rig.submit(&["-h", "-J", "0-3", "ok.sh"]);
    let said = rig.run(&["qstat", "-f", "-F", "json", &id]);
    let document: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let jobs = document["Jobs"].as_object().unwrap();
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["0[].localhost"]);
}

#[test]
fn ten_thousand_elements_are_listed_quickly() {
    let rig = Rig::open();
    let id = rig.submit(&["-h", "-J", "0-9999", "ok.sh"]);
    let begin = std::time::Instant::now();
    let jobs = rig.jobs();
    assert_eq!(jobs.len(), 10_001);
    // Generous: it is a few seconds without optimisation on a busy machine.
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
    rig.run(&["qdel", &id]);
    rig.end(&id);
}
