//! `cargo xtask fuzz`: each reader of foreign bytes in turn, guided by coverage.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::record;
use crate::testing::{cargo, succeed, target};

/// The targets, as `fuzz/src/main.rs` knows them.
pub const TARGETS: [&str; 12] = [
    "curriculum",
    "where",
    "manifest",
    "idx",
    "windows",
    "jsonl",
    "jsonl.gz",
    "jsonl.zst",
    "txt",
    "parquet",
    "arrow",
    "arrows",
];

/// What the compiler of Rust is asked for, which `cargo fuzz` asks for too; sanitizers apart, a stable one can do it.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

pub fn run(root: &Path, seconds: u32, only: &[String]) -> Result<()> {
    let output = Command::new("rustc").arg("-vV").output().context("asking rustc for its host")?;
    let version = String::from_utf8(output.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = target(root).join("fuzz");
    // The flags go to what is fuzzed, not to build scripts: that is what naming the target does.
    succeed(
        Command::new(cargo())
            .args(["build", "--quiet", "--target", host])
            .current_dir(root.join("fuzz"))
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", FLAGS),
    )?;
    let binary = folder.join(host).join("debug/syllabus-fuzz");
    let mut found = Vec::new();
    for name in TARGETS {
        if !only.is_empty() && !only.iter().any(|asked| asked == name) {
            continue;
        }
        let seeds = root.join("fuzz/seeds").join(name);
        let (corpus, artifacts) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
        fs_err::create_dir_all(&corpus)?;
        fs_err::create_dir_all(&artifacts)?;
        let output = Command::new(&binary)
            .arg(format!("-max_total_time={seconds}"))
            .args(["-rss_limit_mb=2048", "-timeout=20", "-max_len=65536", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(&corpus)
            .arg(&seeds)
            .env("SYLLABUS_FUZZ", name)
            .stdout(Stdio::null())
            .output()
            .with_context(|| format!("starting {}", binary.display()))?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        fs_err::write(folder.join(format!("{name}.log")), &log)?;
        let stat = |key: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(&format!("stat::{key}:")))?;
            line.trim().parse::<u64>().ok()
        };
        let executions = stat("number_of_executed_units");
        let covered =
            log.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split(' ').next()?.parse::<u64>().ok());
        let ended_well = output.status.success() && executions.is_some();
        println!(
            "{name}: {executions:?} executions, coverage {covered:?}, {}",
            if ended_well { "no finding" } else { "A FINDING" }
        );
        record(
            root,
            &format!("fuzz-{name}"),
            &json!({
                "target": name, "seconds": seconds, "executions": executions, "coverage": covered,
                "seeds": fs_err::read_dir(&seeds)?.count(), "finding": !ended_well, "peak_mib": stat("peak_rss_mb"),
            }),
        )?;
        if !ended_well {
            found.push(format!(
                "{name} (see {} and {})",
                folder.join(format!("{name}.log")).display(),
                artifacts.display()
            ));
        }
    }
    if !found.is_empty() {
        bail!("findings: {}", found.join(", "));
    }
    Ok(())
}
