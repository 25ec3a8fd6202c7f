//! `cargo xtask compat`: exports read back by the trainers' own code.
//!
//! Small datasets in every shape that matters (W = S + 1 and W = S, padding, phases of different S, u16 and u32) are compiled and
//! exported; the windows as the reader gives them are written beside them; and the scripts in `tests/compat/` read the exports
//! with the trainers' packages from PyPI and compare. The packages need torch, some 6 GB: they are installed once, into
//! `$SYLLABUS_CACHE/compat` (by default `~/.cache/syllabus/compat`), and again when `requirements.txt` changes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use syllabus::compile::progress::Silent;
use syllabus::compile::{Options, compile};
use syllabus::curriculum;
use syllabus::export::{self, Target};
use syllabus::ingest::Watch;
use syllabus_reader::{Dataset, WindowSet};

use crate::testing::{starts, succeed, target};

/// A dataset, and what is exported of it and read back.
struct Case {
    name: &'static str,
    curriculum: fn(&str) -> String,
    tokenizer: fn(&Path) -> Result<Option<String>>,
    targets: &'static [Target],
}

const CASES: [Case; 4] = [
    Case {
        name: "label",
        curriculum: |demo| demo.to_owned(),
        tokenizer: |_| Ok(None),
        targets: &[
            Target::Megatron,
            Target::MegatronExact,
            Target::Datatrove,
            Target::Nanogpt,
            Target::Llmc,
            Target::Automodel,
        ],
    },
    Case {
        name: "no-label",
        curriculum: |demo| format!("{demo}\nlabel_token: false\n"),
        tokenizer: |_| Ok(None),
        targets: &[Target::Olmo, Target::Megatron, Target::Llmc, Target::Automodel],
    },
    Case {
        name: "padded",
        // Padding in every phase, and a last phase of longer windows.
        curriculum: |demo| {
            demo.replace("packing: concat", "packing: best_fit")
                .replace("- name: late", "- name: late\n    sequence_length: 512")
        },
        tokenizer: |_| Ok(None),
        targets: &[Target::Megatron, Target::MegatronExact, Target::Datatrove],
    },
    Case {
        name: "wide",
        curriculum: |demo| demo.to_owned(),
        tokenizer: |tokenizer| wide(tokenizer).map(Some),
        targets: &[Target::Megatron, Target::MegatronExact, Target::Datatrove, Target::Llmc, Target::Automodel],
    },
];

/// A tokenizer's file with an id above 65,535, so that tokens take 32 bits.
fn wide(tokenizer: &Path) -> Result<String> {
    let mut file: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(tokenizer)?)?;
    let vocabulary = file.pointer_mut("/model/vocab").and_then(serde_json::Value::as_object_mut);
    vocabulary.context("the tokenizer has no vocabulary")?.insert("\u{2581}never\u{2581}".to_owned(), 70_000.into());
    Ok(serde_json::to_string(&file)?)
}

/// A virtual environment with what `tests/compat/requirements.txt` locks; its interpreter.
pub fn python(root: &Path) -> Result<PathBuf> {
    let cache = match (std::env::var_os("SYLLABUS_CACHE"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache/syllabus"),
        (None, None) => target(root).join("xtask"),
    };
    let folder = cache.join("compat");
    let interpreter = folder.join("bin/python");
    let requirements = root.join("tests/compat/requirements.txt");
    let wanted = fs_err::read_to_string(&requirements)?;
    let stamp = folder.join("installed.txt");
    if fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && starts(Command::new(&interpreter).arg("--version"))
    {
        return Ok(interpreter);
    }
    println!("compat: installing torch and the trainers into {} (some 6 GB, once)", folder.display());
    let system = ["python3", "python"].into_iter().find(|name| starts(Command::new(name).arg("--version")));
    succeed(
        Command::new(system.context("compat needs Python 3 on the PATH")?).args(["-m", "venv", "--clear"]).arg(&folder),
    )?;
    // uv installs what is locked; pip is slow to, and unpacks everything twice.
    succeed(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "uv"]))?;
    succeed(
        Command::new(&interpreter)
            .args(["-m", "uv", "pip", "install", "--quiet", "--python"])
            .arg(&interpreter)
            .arg("--requirement")
            .arg(&requirements),
    )?;
    fs_err::write(stamp, wanted)?;
    Ok(interpreter)
}

/// The demo's curriculum, its files absolute, its shards small.
fn demo(root: &Path) -> Result<String> {
    let text = fs_err::read_to_string(root.join("curricula/demo.yaml"))?;
    let fixtures = root.join("fixtures");
    Ok(text
        .replace("../fixtures", &fixtures.display().to_string())
        .replace("packing: concat", "packing: concat\nshard_size: 128KiB"))
}

fn compiled(root: &Path, case: &Case, folder: &Path) -> Result<Dataset> {
    let mut text = (case.curriculum)(&demo(root)?);
    let tokenizer = root.join("fixtures/tokenizers/llama-like/tokenizer.json");
    if let Some(other) = (case.tokenizer)(&tokenizer)? {
        let path = folder.join("tokenizer.json");
        fs_err::write(&path, other)?;
        text = text.replace(&tokenizer.display().to_string(), &path.display().to_string());
    }
    let path = folder.join("curriculum.yaml");
    fs_err::write(&path, text)?;
    let loaded = curriculum::load(&path, false)?;
    let options = Options {
        out: folder.join("dataset"),
        data: None,
        phases: Vec::new(),
        scale: num_rational::BigRational::from_integer(1.into()),
        thin: None,
        scratch: None,
        memory: 1 << 30,
        threads: std::thread::available_parallelism()?.get(),
        work: None,
        segment_bytes: None,
    };
    compile(&loaded, &options, &Watch::default(), &Silent)?;
    Ok(Dataset::open(&options.out)?)
}

/// Writes the windows as the reader gives them, for the scripts: all tokens as u32, and the lengths of their sequences.
fn dump(dataset: &Dataset, folder: &Path) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    let mut parts = Vec::new();
    let sets =
        dataset.phases().iter().map(|set| (set, false)).chain(dataset.validation().iter().map(|set| (set, true)));
    for (number, (set, held_out)) in sets.enumerate() {
        let (tokens, sequences) = (format!("{number}.tokens"), format!("{number}.sequences"));
        dump_set(set, &folder.join(&tokens), &folder.join(&sequences))?;
        parts.push(serde_json::json!({
            "name": set.name(),
            "held_out": held_out,
            "sequence_length": set.sequence_length(),
            "window_tokens": set.window_tokens(),
            "windows": set.len(),
            "tokens": tokens,
            "sequences": sequences,
        }));
    }
    let manifest = dataset.manifest();
    let about = serde_json::json!({
        "token_dtype": manifest.token_dtype.to_string(),
        "vocab_size": manifest.tokenizer.vocab_size,
        "eos_id": manifest.tokenizer.eos_id,
        "parts": parts,
    });
    fs_err::write(folder.join("parts.json"), serde_json::to_string(&about)?)?;
    Ok(())
}

fn dump_set(set: &WindowSet, tokens: &Path, sequences: &Path) -> Result<()> {
    let mut tokens = std::io::BufWriter::new(fs_err::File::create(tokens)?);
    let mut sequences = std::io::BufWriter::new(fs_err::File::create(sequences)?);
    for i in 0..set.len() {
        let window = set.window(i)?;
        for id in window.tokens.to_vec() {
            tokens.write_all(&id.to_le_bytes())?;
        }
        let number = u32::try_from(i)?;
        let lengths = window.fragments.map(|fragment| (fragment.length, 0_u32));
        for (length, padding) in lengths.chain((window.padding > 0).then_some((window.padding, 1))) {
            for field in [number, length, padding] {
                sequences.write_all(&field.to_le_bytes())?;
            }
        }
    }
    tokens.flush()?;
    sequences.flush()?;
    Ok(())
}

/// The script that reads an export.
fn script(target: Target) -> &'static str {
    match target {
        Target::Megatron => "read_megatron.py",
        Target::MegatronExact => "read_megatron_exact.py",
        Target::Datatrove => "read_datatrove.py",
        Target::Olmo => "read_olmo.py",
        Target::Nanogpt | Target::Llmc | Target::Automodel => "read_plain.py",
    }
}

/// Exports, and has every export read.
pub fn run(root: &Path) -> Result<()> {
    let python = python(root)?;
    let place = target(root).join("xtask/compat");
    if place.exists() {
        fs_err::remove_dir_all(&place)?;
    }
    // For each target the windows and the export of every case that has it: importing a trainer's package takes longest.
    let mut exports: Vec<(Target, Vec<PathBuf>)> = Vec::new();
    for case in &CASES {
        let folder = place.join(case.name);
        fs_err::create_dir_all(&folder)?;
        let dataset = compiled(root, case, &folder)?;
        let windows = folder.join("windows");
        dump(&dataset, &windows)?;
        for &target in case.targets {
            let out = folder.join(target.name());
            export::run(&dataset, target, &out)?;
            if !exports.iter().any(|(known, _)| *known == target) {
                exports.push((target, Vec::new()));
            }
            let paths = exports.iter_mut().filter(|(known, _)| *known == target).map(|(_, paths)| paths);
            paths.for_each(|paths| paths.extend([windows.clone(), out.clone()]));
        }
    }
    let mut read = 0;
    for (target, paths) in &exports {
        let started = Instant::now();
        let mut command = Command::new(&python);
        command.arg(root.join("tests/compat").join(script(*target)));
        if script(*target) == "read_plain.py" {
            command.arg(target.name());
        }
        // What is read is the files, whatever device there is.
        command.args(paths).env("CUDA_VISIBLE_DEVICES", "").env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("{}: {}\n{said}{errors}", target.name(), output.status);
        }
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(" equal")).collect();
        if lines.len() * 2 != paths.len() {
            bail!("{}: {} of {} exports were read\n{said}{errors}", target.name(), lines.len(), paths.len() / 2);
        }
        for (line, paths) in lines.iter().zip(paths.chunks(2)) {
            let case = paths[0].parent().and_then(Path::file_name).unwrap_or_default();
            println!("compat: {}: {line}", case.display());
        }
        println!("compat: {} took {:.1} s", target.name(), started.elapsed().as_secs_f64());
        read += lines.len();
    }
    println!("{read} passed, 0 failed");
    fs_err::remove_dir_all(&place)?;
    Ok(())
}
