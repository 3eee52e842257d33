//! The workflows of the user guide: what it shows as right loads and passes the check, and what it
//! shows as wrong is refused with the words that it shows. Configuration that it shows is read.

use std::path::Path;

use reflow_core::config::{FileKind, FileLayer, Layer};
use reflow_core::host::{Loaded, load};
use reflow_core::workflow::Graph;

/// A fenced block of the guide.
struct Block {
    /// The words behind the fence.
    kind: String,
    /// Where it starts, for messages.
    line: usize,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some(kind) = line.strip_prefix("```") {
            if !is_inside {
                blocks.push(Block {
                    kind: kind.to_owned(),
                    line: number,
                    text: String::new(),
                });
            }
            is_inside = !is_inside;
        } else if is_inside {
            let block = blocks.last_mut().expect("a fence has opened one");
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(!is_inside, "the last fence is closed");
    blocks
}

fn checked(path: &Path) -> Result<Graph, String> {
    let Loaded { description, .. } = load(path).map_err(|errors| errors.to_string())?;
    Graph::check(description).map_err(|errors| errors.to_string())
}

#[test]
fn workflows_of_the_guide_are_as_it_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide.md");
    let blocks = blocks(&fs_err::read_to_string(page).expect("the guide is there"));
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let (mut right, mut wrong) = (0, 0);
    for (place, block) in blocks.iter().enumerate() {
        let Some(kind) = block.kind.strip_prefix("toml") else {
            continue;
        };
        let kind = kind.trim();
        let name = kind.strip_prefix("file=").unwrap_or("reflow.toml");
        let path = directory.path().join(name);
        fs_err::write(&path, &block.text).expect("the temporary directory is writable");
        if kind == "configuration" {
            let layer = FileKind::Configuration(FileLayer::User);
            let read = Layer::parse(&block.text, Path::new("/config.toml"), layer);
            assert!(read.is_ok(), "docs/guide.md:{}: {read:?}", block.line);
            continue;
        }
        match (kind, checked(&path)) {
            ("refused", Ok(_)) => panic!("docs/guide.md:{}: is not refused", block.line),
            ("refused", Err(errors)) => {
                let shown = &blocks[place + 1].text;
                let at = format!("{}/", directory.path().display());
                let errors = errors.replace(&at, "");
                assert_eq!(
                    errors.trim(),
                    shown.trim(),
                    "docs/guide.md:{}: is refused with other words",
                    block.line
                );
                wrong += 1;
            }
            (_, Err(errors)) => panic!("docs/guide.md:{}: {errors}", block.line),
            (_, Ok(_)) => right += 1,
        }
    }
    // So that a change of the fences cannot make this test pass by finding nothing.
    assert!(
        right >= 12 && wrong >= 1,
        "found {right} right and {wrong} wrong"
    );
}
