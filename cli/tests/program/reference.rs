//! `docs/cli.md` says what the program takes.

use std::path::Path;

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md")
}

#[test]
fn the_reference_is_up_to_date() {
    let written = fs_err::read_to_string(page()).expect("the page can be read");
    assert!(
        written == reflow::reference(),
        "docs/cli.md is out of date: write it again with \
         `cargo test -p reflow --test program reference -- --ignored`"
    );
}

#[test]
#[ignore = "writes docs/cli.md: run it after a change of the command line"]
fn write_the_reference() {
    fs_err::write(page(), reflow::reference()).expect("the page can be written");
}
