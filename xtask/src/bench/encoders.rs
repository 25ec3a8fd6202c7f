//! Encoding alone on one core: ours beside the libraries that others tokenize with.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use syllabus::tokenize::fast::Fast;
use syllabus::tokenize::file::TokenizerFile;
use syllabus::tokenize::opened::Opened;
use syllabus::tokenize::{Loaded, Tokenizer};

use super::rivals;
use super::rows::median;

/// Libraries of Python; the documents are handed to them one by one, as theirs is to us.
const LIBRARIES: [&str; 3] = ["tokenizers", "tiktoken", "splintr-rs"];

/// Seconds, and the CRC-32 of each document's ids.
struct Encoded {
    seconds: f64,
    checks: Vec<u32>,
}

/// In a thread of its own: some keep what they have seen by thread.
fn encode(tokenizer: &dyn Tokenizer, texts: &[&str]) -> Result<Encoded> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| encode_here(tokenizer, texts));
        thread.join().unwrap_or_else(|_| bail!("an encoder panicked"))
    })
}

fn encode_here(tokenizer: &dyn Tokenizer, texts: &[&str]) -> Result<Encoded> {
    let mut encoder = tokenizer.encoder();
    let (mut seconds, mut checks) = (0.0, Vec::new());
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    for text in texts {
        ids.clear();
        let start = std::time::Instant::now();
        encoder.encode(text, &mut ids)?;
        seconds += start.elapsed().as_secs_f64();
        bytes.clear();
        bytes.extend(ids.iter().flat_map(|id: &u32| id.to_le_bytes()));
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        checks.push(crc.sum());
    }
    Ok(Encoded { seconds, checks })
}

fn library(root: &Path, scratch: &Path, library: &str, file: &Path, tokenizer: &Path) -> Result<Option<Encoded>> {
    let checks = scratch.join("encoded.txt");
    let output = Command::new(rivals::python(root, "encoders")?)
        .arg(root.join("xtask/rivals_encode.py"))
        .arg(library)
        .args([file, tokenizer, &checks])
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        println!("  {library}: does not serve it: {}", why.trim().lines().last().unwrap_or_default());
        return Ok(None);
    }
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let seconds = said["seconds"].as_f64().context("rivals_encode.py names no seconds")?;
    let checks = fs_err::read_to_string(&checks)?.lines().map(str::parse).collect::<Result<_, _>>()?;
    Ok(Some(Encoded { seconds, checks }))
}

/// Prints how fast each encodes some of the documents, and in how many its ids are not ours.
pub fn compare(
    root: &Path,
    scratch: &Path,
    (name, path): (&str, &Path),
    ours: &Loaded,
    slice: &rivals::Slice<'_>,
    runs: usize,
) -> Result<()> {
    let file = scratch.join("encoders.jsonl");
    slice.write(&file)?;
    let rivals::Slice { documents: texts, megabytes } = slice;
    println!("{name}: encoding {megabytes:.1} MB, {} documents, on one core, caches cold", texts.len());
    let opened_file = TokenizerFile::read(path)?;
    let opened = Opened::of(&opened_file, &[])?;
    let first = encode(ours.tokenizer.as_ref(), texts)?;
    let (mut mine, mut fast) = (vec![first.seconds], Vec::new());
    let say = |tool: &str, seconds: f64, checks: &[u32], mine: f64| {
        let other = checks.iter().zip(&first.checks).filter(|(theirs, ours)| theirs != ours).count();
        let lost = checks.len().abs_diff(first.checks.len());
        println!(
            "  {tool}: {:.1} MB/s, {:.2} times as fast here, other ids in {} documents",
            megabytes / seconds,
            seconds / mine,
            other + lost
        );
    };
    // By turns. `fastokens` is loaded anew each time: it remembers what it has seen from one thread to the next.
    let mut refused = None;
    for run in 0..runs {
        if run > 0 {
            mine.push(encode(ours.tokenizer.as_ref(), texts)?.seconds);
        }
        match Fast::load(&opened, None) {
            Ok(tokenizer) => fast.push(encode(&tokenizer, texts)?),
            Err(why) => refused = Some(why),
        }
    }
    let mine = median(mine).unwrap_or(f64::NAN);
    println!("  {}: {:.1} MB/s", ours.contract.backend, megabytes / mine);
    match refused {
        None => {
            let checks = fast.first().map(|run| run.checks.clone()).unwrap_or_default();
            say("fastokens", median(fast.iter().map(|run| run.seconds).collect()).unwrap_or(f64::NAN), &checks, mine);
        }
        Some(why) => println!("  fastokens: does not serve it: {why}"),
    }
    for tool in LIBRARIES {
        if let Some(found) = library(root, scratch, tool, &file, path)? {
            if found.checks.len() != texts.len() {
                bail!("{tool} encoded {} of {} documents", found.checks.len(), texts.len());
            }
            say(tool, found.seconds, &found.checks, mine);
        }
    }
    Ok(())
}
