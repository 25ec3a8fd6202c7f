//! A fresh folder, the binary run in it, and what came of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The committed corpora and tokenizers.
pub fn fixtures() -> PathBuf {
    root().join("fixtures")
}

/// What a run of the binary came to.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    line: String,
}

impl Outcome {
    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "`{}` ended with {} instead of {code}\nstdout:\n{}\nstderr:\n{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test unless standard error holds `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "`{}` does not say `{words}`:\n{}", self.line, self.stderr);
        self
    }

    /// The last line of standard error: of a failure, the error in one line.
    pub fn last_line(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("`{}`: {error}:\n{}", self.line, self.stdout))
    }
}

/// A fresh folder, gone when it goes out of scope.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it, and the folders that lead there.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Starts the binary and does not wait for it; nobody reads what it says.
    pub fn start(&self, arguments: &[&str]) -> std::process::Child {
        Command::new(env!("CARGO_BIN_EXE_syllabus"))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs the binary here.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_syllabus"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
            line: format!("syllabus {}", arguments.join(" ")),
        }
    }

    /// Compiles `curriculum.yaml` of this place into its folder `out`, with more arguments.
    pub fn compile(&self, out: &str, more: &[&str]) -> Outcome {
        let mut arguments = vec!["compile", "curriculum.yaml", "--out", out, "--progress", "none"];
        arguments.extend(more);
        self.run(&arguments)
    }

    /// A dataset's manifest.
    #[track_caller]
    pub fn manifest(&self, out: &str) -> serde_json::Value {
        let text = fs_err::read_to_string(self.path(out).join("manifest.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// A dataset's digest.
    #[track_caller]
    pub fn digest(&self, out: &str) -> String {
        self.manifest(out)["dataset_digest"].as_str().unwrap().to_owned()
    }
}

/// A curriculum of one source, `s`, whose files match `files`; `source` and `more` are further lines of YAML.
pub fn small(files: &str, source: &str, tokens: &str) -> String {
    let tokenizer = fixtures().join("tokenizers/byte-level/tokenizer.json");
    format!(
        "syllabus: 1
name: small
tokenizer: {{file: {}, eos: \"<|endoftext|>\"}}
sequence_length: 64
on_exhausted: repeat
sources:
  s: {{files: \"{files}\"{source}}}
phases:
  - {{name: only, tokens: {tokens}, mix: {{s: 100%}}}}
",
        tokenizer.display()
    )
}

/// The files that make a dataset: all but the work folder.
pub fn dataset_files(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| !path.starts_with(".work")).collect()
}

/// Fails the test unless both folders hold the same dataset, byte for byte. Of the manifests, the curriculum's text may
/// differ, and with it the manifest's own checksum.
#[track_caller]
pub fn assert_same_dataset(one: &Path, other: &Path) {
    assert_eq!(dataset_files(one), dataset_files(other), "the datasets have different files");
    for file in dataset_files(one) {
        let (left, right) = (fs_err::read(one.join(&file)).unwrap(), fs_err::read(other.join(&file)).unwrap());
        if file.ends_with("manifest.json") {
            let lines = |bytes: &[u8]| {
                let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                assert!(manifest["curriculum"].is_string() && manifest["checksum"].is_string());
                manifest["curriculum"] = serde_json::Value::Null;
                manifest["checksum"] = serde_json::Value::Null;
                serde_json::to_string_pretty(&manifest).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
            };
            let (left, right) = (lines(&left), lines(&right));
            let differ = left.iter().zip(&right).find(|(left, right)| left != right);
            assert!(left.len() == right.len() && differ.is_none(), "the manifests differ: {differ:?}");
        } else if file.ends_with("report.json") {
            // The curriculum's text may differ, and how the compile went is about the machine; all else is about the dataset.
            let report = |bytes: &[u8]| {
                let mut report: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                assert!(report["curriculum"].is_string() && report["run"].is_object());
                (report["curriculum"], report["run"]) = (serde_json::Value::Null, serde_json::Value::Null);
                report
            };
            assert_eq!(report(&left), report(&right), "the reports differ");
        } else if !file.ends_with("report.html") {
            assert!(left == right, "{} differs", file.display());
        }
    }
}

/// The demo's curriculum with its files in `data` (absolute, or relative to the curriculum).
pub fn demo(data: &str) -> String {
    let text = fs_err::read_to_string(root().join("curricula/demo.yaml")).unwrap();
    assert!(text.contains("../fixtures/"), "the demo reads the fixtures");
    let tokenizers = fixtures().join("tokenizers");
    text.replace("../fixtures/tokenizers", tokenizers.to_str().unwrap()).replace("../fixtures/corpora", data)
}

/// All files under a folder, relative to it, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_path_buf());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// Keeps results for `docs/reliability.md`, where somebody asked for them (`cargo xtask reliability`): rows of a part, in a
/// file of this name. The shape is `Results` in `xtask/src/reliability/mod.rs`.
pub fn record(part: &str, name: &str, rows: &[serde_json::Value]) {
    keep(name, &serde_json::json!({"part": part, "rows": rows}));
}

/// Keeps that a part, or something of it, could not be run here, and why.
pub fn record_not_run(part: &str, name: &str, why: &str) {
    keep(name, &serde_json::json!({"part": part, "not_run": why}));
}

/// A row of results: what was attacked, how it came out, how many were tried and how many came out wrong.
pub fn row(class: &str, what: &str, outcome: &str, count: usize, failed: usize) -> serde_json::Value {
    serde_json::json!({"class": class, "what": what, "outcome": outcome, "count": count, "failed": failed})
}

fn keep(name: &str, results: &serde_json::Value) {
    if let Some(folder) = std::env::var_os("SYLLABUS_RESULTS") {
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(Path::new(&folder).join(format!("{name}.json")), results.to_string()).unwrap();
    }
}
