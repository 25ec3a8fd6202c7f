//! Other tools from PyPI, each in a virtual environment of its own, on a slice of the documents.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::testing::target;

/// A tool, or several that share an environment, and what it needs: some ask for packages only once they run.
const TOOLS: [(&str, &[&str]); 3] = [
    ("encoders", &["tokenizers==0.23.3", "tiktoken==0.14.0", "splintr-rs==0.22.0", "numpy"]),
    ("datatrove", &["datatrove==0.10.1", "orjson", "regex", "tokenizers", "spacy", "xxhash<4"]),
    ("dolma", &["dolma==1.2.1"]),
];

fn packages(tool: &str) -> Result<&'static [&'static str]> {
    TOOLS.iter().find(|(name, _)| *name == tool).map(|(_, packages)| *packages).context("no such tool")
}

/// An interpreter with a tool.
pub fn python(root: &Path, tool: &str) -> Result<PathBuf> {
    let packages = packages(tool)?;
    let folder = target(root).join("xtask").join(tool);
    let interpreter = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = folder.join("installed.txt");
    if fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == packages.join(" ")) {
        return Ok(interpreter);
    }
    let run = |command: &mut Command| -> Result<()> {
        let status = command.status()?;
        if !status.success() {
            bail!("{tool} cannot be installed: {command:?}: {status}");
        }
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    // pip tries versions of Dolma's requirements for longer than anyone waits.
    run(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "uv"]))?;
    let install = ["-m", "uv", "pip", "install", "--quiet", "--python"];
    run(Command::new(&interpreter).args(install).arg(&interpreter).args(packages))?;
    fs_err::write(stamp, packages.join(" "))?;
    Ok(interpreter)
}

/// Some of the documents, evenly taken.
pub struct Slice<'d> {
    pub documents: Vec<&'d str>,
    pub megabytes: f64,
}

impl<'d> Slice<'d> {
    pub fn new(documents: &[&'d str], share: f64) -> Self {
        let mut due = 0.0;
        let mut taken = documents.to_vec();
        taken.retain(|_| {
            due += share;
            let take = due >= 1.0 || share >= 1.0;
            due -= if take { 1.0 } else { 0.0 };
            take
        });
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let megabytes = taken.iter().map(|text| text.len()).sum::<usize>() as f64 / 1e6;
        Self { documents: taken, megabytes }
    }

    /// Writes them as JSON Lines.
    pub fn write(&self, file: &Path) -> Result<()> {
        let lines: String =
            self.documents.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect();
        Ok(fs_err::write(file, lines)?)
    }
}

/// Prints how fast each pipeline tokenizes some of the documents with GPT-2's tokenizer, which all have, and how
/// many times as fast a whole compile is here, at `whole` megabytes a second.
pub fn tokenize(
    root: &Path,
    scratch: &Path,
    slice: &Slice<'_>,
    threads: usize,
    (tokenizer, eos, whole): (&Path, &str, f64),
) -> Result<()> {
    let file = scratch.join("rivals.jsonl");
    slice.write(&file)?;
    let slice = slice.megabytes;
    for tool in ["datatrove", "dolma"] {
        let output = Command::new(python(root, tool)?)
            .arg(root.join("xtask/rivals_tokenize.py"))
            .arg(tool)
            .args([&file, &scratch.join(tool)])
            .arg(threads.to_string())
            .arg(tokenizer)
            .arg(eos)
            .stderr(Stdio::piped())
            .output()?;
        if !output.status.success() {
            bail!("rivals_tokenize.py {tool}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        let said: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
        let took = said["seconds"].as_f64().context("rivals_tokenize.py names no seconds")?;
        println!(
            "{}, tokenizing alone, on a slice of {slice:.1} MB, {} documents, {} tokens: {took:.1} s, {:.2} MB/s; a whole \
             compile here is {:.0} times as fast",
            packages(tool)?.first().unwrap_or(&tool),
            said["documents"],
            said["tokens"],
            slice / took,
            whole * took / slice
        );
    }
    Ok(())
}
