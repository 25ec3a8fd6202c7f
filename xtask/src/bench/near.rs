//! What near duplicates and decontamination add to a compile, beside datatrove's MinHash pipeline on the same documents.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::rows::Rows;
use super::{ALONE, COMPILE, rivals};

/// Added to a compile with exact dedup alone.
pub const NEAR: &str = "compile, near";
/// Added too.
pub const BOTH: &str = "compile, near + decontaminate";

/// The curriculum with near duplicates sought, and, where the data has benchmarks in `eval/`, with their leaks too.
pub fn variants(curriculum: &str, data: &Path) -> Result<Vec<(&'static str, String)>> {
    let near = format!("{curriculum}dedup: {{near: {{jaccard: 0.8, shingle: 5, max_removed: 100%}}}}\n");
    let files = data.join("eval");
    let mut variants = vec![(NEAR, near.clone())];
    if files.is_dir() {
        let files = serde_json::to_string(&files.join("*.jsonl"))?;
        variants.push((BOTH, format!("{near}decontaminate: {{files: {files}, ngram: 13, coverage: 50%}}\n")));
    }
    Ok(variants)
}

/// Prints what each adds; gives back the speed at which near duplicates alone went, in MB of text a second.
pub fn say(rows: &Rows, tokenizer: &str, (megabytes, load): (f64, f64)) -> Option<f64> {
    for what in [NEAR, BOTH] {
        let Some(took) = rows.seconds(tokenizer, what) else { continue };
        println!(
            "{tokenizer}: {what} {took:.2} s, {:+.0} % of a compile with exact dedup alone; tokenizing alone : it = {:.2} \
             ({:.2} with loading)",
            100.0 * (rows.ratio(tokenizer, (what, 0.0), COMPILE)? - 1.0),
            rows.ratio(tokenizer, (ALONE, 0.0), what)?,
            rows.ratio(tokenizer, (ALONE, load), what)?,
        );
    }
    Some(megabytes / (rows.seconds(tokenizer, NEAR)? - rows.seconds(tokenizer, COMPILE)?).max(1e-9))
}

/// Runs datatrove on some of the documents; prints its speed and how many times as fast near
/// duplicates are here.
pub fn datatrove(
    root: &Path,
    scratch: &Path,
    slice: &rivals::Slice<'_>,
    threads: usize,
    ours: Option<f64>,
) -> Result<()> {
    let python = rivals::python(root, "datatrove")?;
    let file = scratch.join("datatrove.jsonl");
    slice.write(&file)?;
    let output = Command::new(python)
        .arg(root.join("xtask/near_datatrove.py"))
        .args([&file, &scratch.join("datatrove")])
        .arg(threads.to_string())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        bail!("near_datatrove.py: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let said: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
    let steps = said["seconds"].as_object().context("near_datatrove.py names no seconds")?;
    let took: f64 = steps.values().filter_map(serde_json::Value::as_f64).sum();
    let slice = slice.megabytes;
    println!(
        "datatrove's MinHash (14 x 8) on a slice of {slice:.1} MB, {} documents: {took:.1} s, {:.2} MB/s, {} stay; {}",
        said["documents"],
        slice / took,
        said["kept"],
        serde_json::to_string(steps)?
    );
    if let Some(ours) = ours {
        println!("near duplicates here add {ours:.0} MB/s: {:.0} times as fast", ours * took / slice);
    }
    Ok(())
}
