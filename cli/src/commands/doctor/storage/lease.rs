use std::path::Path;

use reflow_core::engine::Clock;
use reflow_core::journal::{SystemLiveness, Taken, take};

/// Takes the lease of a journal in an empty directory, and takes it over: the first holder must notice.
pub(super) async fn look(directory: &Path) -> Result<(), String> {
    let journal = directory.join("journal");
    fs_err::create_dir(&journal).map_err(|error| error.to_string())?;
    let clock = Clock::system();
    let mut leases = Vec::new();
    for _ in 0..2 {
        // This process may replace itself, so that nobody is waited for.
        let taken = take(&journal, &SystemLiveness, &clock, true, 0).await;
        match taken.map_err(|error| error.to_string())? {
            Taken::Mine(lease, _) => leases.push(lease),
            Taken::Held(_) => return Err("somebody else holds it".to_owned()),
        }
    }
    match &leases[..] {
        [first, second] if first.check().is_err() && second.check().is_ok() => Ok(()),
        _ => Err("the first holder does not see that it was replaced".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn it_works_in_a_sound_directory_and_needs_one() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        super::look(directory.path())
            .await
            .expect("the file system of tests is sound");
        assert!(super::look(&directory.path().join("none")).await.is_err());
    }
}
