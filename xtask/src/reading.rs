//! `cargo xtask reading`: the Python package beside a NumPy memory map, Megatron's GPTDataset, MosaicML Streaming and litdata.
//!
//! Compiles a dataset of 70M tokens in windows of 4,096, exports it for Megatron, builds the package without its compiler in the
//! release profile, and runs `python/benches/reading.py` over them. torch and Megatron are those of `cargo xtask compat`; the two
//! others, which ask for older packages, get an environment of their own in front of it, `$SYLLABUS_CACHE/reading`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use syllabus::compile::progress::Silent;
use syllabus::compile::{Options, compile};
use syllabus::curriculum;
use syllabus::export::{self, Target};
use syllabus::ingest::Watch;
use syllabus_reader::Dataset;

use crate::testing::{self, starts, succeed, target};
use crate::{bench, compat};

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Folder with a folder of documents for each source [default: the real corpus, or the fixtures repeated]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Tokens of the dataset
    #[arg(long, default_value_t = 70_000_000)]
    tokens: u64,
    /// Windows that are read
    #[arg(long, default_value_t = 16_000)]
    windows: u64,
    /// File for the raw rows [default: reading.csv under the target folder]
    #[arg(long)]
    csv: Option<PathBuf>,
}

/// The curriculum: all sources as they come, repeated where they do not suffice.
fn written(root: &Path, arguments: &Arguments, folder: &Path) -> Result<PathBuf> {
    let real = std::env::var_os("SYLLABUS_REALDATA").map_or_else(|| root.join("../shared/realdata"), PathBuf::from);
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None if real.exists() => real,
        None => {
            eprintln!("xtask: no real corpus at {} (or $SYLLABUS_REALDATA): the fixtures, repeated", real.display());
            bench::corpus::repeat_fixtures(root, &folder.join("data"))?;
            folder.join("data")
        }
    };
    let data = fs_err::canonicalize(data)?;
    let given = data.join("tokenizers/phi-3/tokenizer.json");
    let (tokenizer, eos) = if given.is_file() {
        (given, "<|endoftext|>")
    } else {
        (root.join("fixtures/tokenizers/llama-like/tokenizer.json"), "</s>")
    };
    let mut folders: Vec<PathBuf> =
        fs_err::read_dir(&data)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?;
    folders.sort();
    let mut sources = String::new();
    for path in folders.iter().filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !["eval", "tokenizers", "edge"].contains(&&*name) {
            let files = serde_json::to_string(&path.join("*"))?;
            sources.push_str(&format!("  {name}: {{files: {files}, group: all}}\n"));
        }
    }
    let text = format!(
        "syllabus: 1\nname: reading\nsequence_length: 4096\non_exhausted: repeat\n\
         tokenizer: {{file: {}, bos: none, eos: \"{eos}\"}}\nsources:\n{sources}\
         phases:\n  - {{name: only, tokens: {}, mix: {{all: {{share: 100%, by: size}}}}}}\n",
        serde_json::to_string(&fs_err::canonicalize(tokenizer)?)?,
        arguments.tokens
    );
    let path = folder.join("reading.yaml");
    fs_err::write(&path, text)?;
    Ok(path)
}

/// The environment: what `python/benches/requirements.txt` locks, in front of what `cargo xtask compat` installs.
fn python(root: &Path) -> Result<PathBuf> {
    let trainers = compat::python(root)?;
    let below = trainers.parent().and_then(Path::parent).context("the environment has no folder")?;
    let folder = below.with_file_name("reading");
    let interpreter = folder.join("bin/python");
    let requirements = root.join("python/benches/requirements.txt");
    let wanted = fs_err::read_to_string(&requirements)?;
    let stamp = folder.join("installed.txt");
    if fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && starts(Command::new(&interpreter).arg("--version"))
    {
        return Ok(interpreter);
    }
    succeed(Command::new(&trainers).args(["-m", "venv", "--clear", "--without-pip"]).arg(&folder))?;
    let packages = |of: &Path| -> Result<PathBuf> {
        let found = fs_err::read_dir(of.join("lib"))?.next().context("an environment without packages")?;
        Ok(found?.path().join("site-packages"))
    };
    fs_err::write(packages(&folder)?.join("compat.pth"), format!("{}\n", packages(below)?.display()))?;
    succeed(
        Command::new(&trainers)
            .args(["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python"])
            .arg(&interpreter)
            .arg("--requirement")
            .arg(&requirements),
    )?;
    fs_err::write(stamp, wanted)?;
    Ok(interpreter)
}

/// Makes what is missing, and measures.
pub fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let python = python(root)?;
    let place = target(root).join("xtask/reading");
    fs_err::create_dir_all(&place)?;
    let options = Options {
        out: place.join("dataset"),
        data: None,
        phases: Vec::new(),
        scale: num_rational::BigRational::from_integer(1.into()),
        thin: None,
        scratch: None,
        memory: 2 << 30,
        threads: std::thread::available_parallelism()?.get(),
        work: None,
        segment_bytes: None,
    };
    let yaml = written(root, arguments, &place)?;
    eprintln!("xtask: compiling {} tokens into {}", arguments.tokens, options.out.display());
    let outcome = compile(&curriculum::load(&yaml, false)?, &options, &Watch::default(), &Silent)?;
    let export = place.join("megatron");
    if export.exists() && !outcome.reused {
        fs_err::remove_dir_all(&export)?;
    }
    if !export.exists() {
        export::run(&Dataset::open(&options.out)?, Target::MegatronExact, &export)?;
    }
    let wheel = testing::wheel(root, &testing::python(root)?, &["--profile", "release", "--no-default-features"])?;
    let trainers = compat::python(root)?;
    let install = ["-m", "uv", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", "--python"];
    succeed(Command::new(trainers).args(install).arg(&python).arg(wheel))?;
    let csv = arguments.csv.clone().unwrap_or_else(|| place.join("reading.csv"));
    let mut command = Command::new(&python);
    command.arg(root.join("python/benches/reading.py")).args([&options.out, &export]);
    command.args(["--windows", &arguments.windows.to_string(), "--csv"]).arg(&csv);
    succeed(command.env("CUDA_VISIBLE_DEVICES", "").env("PYTHONDONTWRITEBYTECODE", "1"))?;
    println!("{}", csv.display());
    Ok(())
}
