//! `docs/reliability.md`, made of `docs/reliability.json`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{PARTS, Results};

fn json(root: &Path) -> PathBuf {
    root.join("docs/reliability.json")
}

fn markdown(root: &Path) -> PathBuf {
    root.join("docs/reliability.md")
}

/// Puts new results in the place of what was known of their parts, and makes the page of all.
pub fn write(root: &Path, new: Vec<Results>) -> Result<()> {
    let mut known: Vec<Results> = match fs_err::read_to_string(json(root)) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    known.retain(|old| new.iter().all(|new| new.part != old.part));
    known.extend(new);
    known.sort_by_key(|of| PARTS.iter().position(|part| part.name == of.part));
    fs_err::write(json(root), serde_json::to_string_pretty(&known)? + "\n")?;
    fs_err::write(markdown(root), page(&known))?;
    println!("wrote {}", markdown(root).display());
    Ok(())
}

/// Says whether the page is what the results make.
pub fn check(root: &Path) -> Result<()> {
    let known: Vec<Results> = serde_json::from_str(&fs_err::read_to_string(json(root))?)?;
    if fs_err::read_to_string(markdown(root))? != page(&known) {
        bail!(
            "docs/reliability.md is not what docs/reliability.json makes; run `cargo xtask reliability --from-results`"
        );
    }
    println!("reliability: the page is current");
    Ok(())
}

/// A cell's text: in one line, without what ends a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn page(known: &[Results]) -> String {
    let mut page = String::from(
        "# Reliability\n\nMade by `cargo xtask reliability` from the results of its runs; nothing here is typed by hand. \
         `tried` counts cases; `wrong` counts those that did not come out as they must. NOT RUN says that there is no result.\n",
    );
    for part in PARTS {
        page += &format!("\n## {}\n\n{}\n\n", part.title, part.about);
        let Some(results) = known.iter().find(|of| of.part == part.name) else {
            page += "NOT RUN\n";
            continue;
        };
        if let Some(why) = &results.not_run {
            page += &format!("NOT RUN: {why}\n");
        }
        if results.rows.is_empty() {
            continue;
        }
        let memory = results.rows.iter().any(|row| row.peak_memory_bytes.is_some());
        page += "| class | on what | tried | wrong | outcome |";
        page += if memory { " peak memory |\n" } else { "\n" };
        page += "| --- | --- | ---: | ---: | --- |";
        page += if memory { " ---: |\n" } else { "\n" };
        for row in &results.rows {
            let (class, what, outcome) = (cell(&row.class), cell(&row.what), cell(&row.outcome));
            let _string = write!(page, "| {class} | {what} | {} | {} | {outcome} |", row.count, row.failed);
            if memory {
                page += &row.peak_memory_bytes.map_or(" |".to_owned(), |bytes| format!(" {} MiB |", bytes >> 20));
            }
            page.push('\n');
        }
    }
    page
}
