//! What is depended on: `cargo xtask supply`, counted.

use anyhow::Result;

use super::{Part, Results, Row, Run};
use crate::supply::look;

pub const SUPPLY: Part = Part {
    name: "supply",
    title: "Supply chain",
    about: "Every crate in `Cargo.lock` against the licences, sources, bans and second versions that `deny.toml` allows. Advisories \
            need a network (`cargo deny check advisories`) and are not part of this.",
    run,
};

fn run(run: &Run<'_>) -> Result<()> {
    let found = look(run.root)?;
    for what in &found.wrong {
        eprintln!("supply: {what}");
    }
    let row = Row {
        class: "licences, sources, bans, second versions".to_owned(),
        what: "all crates that are built or tested with".to_owned(),
        outcome: format!("allowed, {} of them second versions with a written reason", found.doubled),
        count: found.crates as u64,
        failed: found.wrong.len() as u64,
        peak_memory_bytes: None,
    };
    run.record("supply", &Results { part: SUPPLY.name.to_owned(), rows: vec![row], not_run: None })
}
