//! `docs/reliability.md`, made of results.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::fuzz::TARGETS;

const NOT_RUN: &str = "NOT RUN";

/// The modes of the compiler's fault layer, and what each does at an operation.
const MODES: [(&str, &str); 6] = [
    ("kill", "the process ends before it"),
    ("tear", "half of a write is done, then the process ends"),
    ("fail", "it fails (EIO)"),
    ("full", "it and all later ones that need room fail (ENOSPC)"),
    ("power", "the process ends, and bytes not synced are gone"),
    ("blackout", "the same, and changes of names in folders not synced are undone"),
];

pub fn write(root: &Path, results: &Path) -> Result<()> {
    let found = |name: &str| -> Option<Value> {
        serde_json::from_str(&fs_err::read_to_string(results.join(format!("{name}.json"))).ok()?).ok()
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let mut out = String::from(
        "# Reliability\n\nMade by `cargo xtask reliability` from the results of its runs; nothing here is typed by hand. NOT RUN says that \
         there is no result.\n\n## Faults\n\nA compile of small sources in three formats, with every kind of removal and both packings, meets a \
         fault at one file operation. Then the same command runs again without it and must end with the same bytes: shards, ledger, \
         report.\n\n| at the operation | operations of a compile | tried | not survived |\n| --- | --- | --- | --- |\n",
    );
    for (mode, what) in MODES {
        let row = found(&format!("faults-{mode}")).map_or_else(
            || format!("| {mode}: {what} | {NOT_RUN} | | |\n"),
            |r| format!("| {mode}: {what} | {} | {} | {} |\n", r["operations"], r["tried"], r["failed"]),
        );
        out.push_str(&row);
    }
    out.push_str("\n## Kills, full disks\n\n| case | tried | outcome |\n| --- | --- | --- |\n");
    let simple = |name: &str, case: &str, outcome: &dyn Fn(&Value) -> String| {
        let Some(result) = found(name) else { return format!("| {case} | {NOT_RUN} | |\n") };
        match result["not_run"].as_str() {
            Some(why) => format!("| {case} | {NOT_RUN} | {why} |\n"),
            None => format!("| {case} | {} | {} |\n", result["tried"], outcome(&result)),
        }
    };
    out.push_str(&simple("kills", "SIGKILL at random moments, one run after another", &|r| {
        format!("{} runs were killed before their end; the last one ended with the same bytes", r["killed"])
    }));
    out.push_str(&simple("full-disk", "a file system that is full, ever a little larger", &|_| {
        "each time one error that says what is missing; with room enough the same bytes".to_owned()
    }));
    out.push_str(&simple("scratch", "`--scratch` below what is needed", &|_| {
        "refused with the work folder below it; without it the same bytes".to_owned()
    }));
    out.push_str(
        "\n## Altered datasets\n\nEvery byte flipped in turn, and the file cut at every byte. Tokens and windows are hashed by content: some bytes \
         of Arrow's framing mean nothing.\n\n| file | bytes | alterations | not noticed by `verify` | panics |\n| --- | --- | --- | --- | --- |\n",
    );
    for extension in ["json", "idx", "arrow", "bin"] {
        let row = found(&format!("altered-{extension}")).map_or_else(
            || format!("| `.{extension}` | {NOT_RUN} | | | |\n"),
            |r| {
                let file = text(&r["file"]);
                format!("| `{file}` | {} | {} | {} | {} |\n", r["bytes"], r["tried"], r["silent"], r["panics"])
            },
        );
        out.push_str(&row);
    }
    out.push_str(
        "\n## Fuzzing\n\nGuided by coverage, from the seeds in `fuzz/seeds/`. A finding is a panic, a hang of 20 s or 2 GiB of memory.\n\n\
         | target | seconds | executions | edges covered | peak memory | findings |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for target in TARGETS {
        let row = found(&format!("fuzz-{target}")).map_or_else(
            || format!("| {target} | {NOT_RUN} | | | | |\n"),
            |r| {
                let (executions, covered, peak) = (text(&r["executions"]), text(&r["coverage"]), text(&r["peak_mib"]));
                let finding = if r["finding"] == true { "FOUND" } else { "none" };
                format!("| {target} | {} | {executions} | {covered} | {peak} MiB | {finding} |\n", r["seconds"])
            },
        );
        out.push_str(&row);
    }
    out.push_str(
        "\n## Large inputs\n\nEach with `--memory 1GiB`.\n\n| input | outcome | peak memory | seconds | as meant, and below the limit |\n| --- | --- | --- | --- | --- |\n",
    );
    for number in 0..super::large::COUNT {
        let Some(r) = found(&format!("large-{number:02}")) else {
            out.push_str(&format!("| {} | {NOT_RUN} | | | |\n", super::large::name(number)));
            continue;
        };
        let outcome =
            if r["compiled"] == true { "compiled".to_owned() } else { format!("refused: `{}`", text(&r["said"])) };
        let (peak, seconds) = (r["peak_bytes"].as_u64().unwrap_or(0) >> 20, r["seconds"].as_f64().unwrap_or(0.0));
        let meant = if r["as_meant"] == true { "yes" } else { "NO" };
        let case = text(&r["case"]);
        out.push_str(&format!("| {case} | {} | {peak} MiB | {seconds:.0} | {meant} |\n", outcome.replace('|', "\\|")));
    }
    let path = root.join("docs/reliability.md");
    fs_err::write(&path, out)?;
    println!("wrote {}", path.display());
    Ok(())
}
