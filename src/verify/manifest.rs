//! The manifest against itself, against the folder, and against what the shards hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::digest::to_hex;
use syllabus_reader::format::manifest::{Manifest, Shard};

use super::findings::Findings;
use super::shard::Totals;
use crate::error::Result;

const FILE: &str = "manifest.json";

/// The manifest's fields against each other.
pub(super) fn check(manifest: &Manifest, findings: &Findings) {
    let add = |message: String| findings.add(FILE, message);
    let tokenizer = &manifest.tokenizer;
    match manifest.recompute_digest() {
        Ok(digest) if to_hex(&digest) == manifest.dataset_digest => {}
        Ok(digest) => {
            add(format!("dataset_digest is {}, but its fields hash to {}", manifest.dataset_digest, to_hex(&digest)))
        }
        Err(error) => add(error.to_string()),
    }
    if manifest.token_dtype != TokenDtype::for_vocabulary(tokenizer.vocab_size) {
        add(format!("token_dtype {} is not that of a vocabulary of {}", manifest.token_dtype, tokenizer.vocab_size));
    }
    let ids = [("bos_id", tokenizer.bos_id), ("eos_id", tokenizer.eos_id), ("pad_id", Some(tokenizer.pad_id))];
    for (name, id) in ids.into_iter().chain([("max_token_id", Some(manifest.max_token_id))]) {
        if let Some(id) = id.filter(|&id| id >= tokenizer.vocab_size) {
            add(format!("{name} {id} is outside the vocabulary of {}", tokenizer.vocab_size));
        }
    }
    let sources: BTreeSet<&str> = manifest.sources.iter().map(|source| source.name.as_str()).collect();
    if sources.len() != manifest.sources.len() {
        add("two sources have one name".to_owned());
    }
    for phase in &manifest.phases {
        let name = &phase.name;
        check_set(manifest, name, (phase.sequence_length, phase.window_tokens, phase.windows), &phase.shards, findings);
        check_digest(name, phase.recompute_digest(), &phase.digest, findings);
        if phase.windows.checked_mul(u64::from(phase.sequence_length)) != Some(phase.tokens) {
            add(format!("phase `{name}`: {} tokens are not its windows times S", phase.tokens));
        }
        let known: BTreeSet<&str> = phase.sources.iter().map(|source| source.name.as_str()).collect();
        if known.len() != phase.sources.len() || !known.is_subset(&sources) {
            add(format!("phase `{name}`: a source is unknown or named twice"));
        }
        let sum = phase.sources.iter().fold(0_u64, |sum, source| sum.saturating_add(source.windows));
        if sum != phase.windows {
            add(format!("phase `{name}`: its sources have {sum} windows, but it has {}", phase.windows));
        }
    }
    for set in &manifest.validation {
        let name = set.path();
        check_set(manifest, &name, (set.sequence_length, set.window_tokens, set.windows), &set.shards, findings);
        check_digest(&name, set.recompute_digest(), &set.digest, findings);
        if !sources.contains(set.source.as_str()) {
            add(format!("held-out set `{name}`: there is no source `{}`", set.source));
        }
    }
    let names = manifest.phases.iter().map(|phase| phase.name.clone());
    let names: Vec<String> = names.chain(manifest.validation.iter().map(|set| set.path())).collect();
    if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
        add("two phases or held-out sets have one name".to_owned());
    }
    let files: Vec<&str> = all_shards(manifest).map(|shard| shard.file.as_str()).collect();
    if files.iter().collect::<BTreeSet<_>>().len() != files.len() {
        add("a shard's file is named twice".to_owned());
    }
}

fn all_shards(manifest: &Manifest) -> impl Iterator<Item = &Shard> {
    let phases = manifest.phases.iter().flat_map(|phase| &phase.shards);
    phases.chain(manifest.validation.iter().flat_map(|set| &set.shards))
}

fn check_digest(name: &str, found: Result<[u8; 32], syllabus_reader::Error>, said: &str, findings: &Findings) {
    match found {
        Ok(digest) if to_hex(&digest) == said => {}
        Ok(digest) => {
            findings.add(FILE, format!("the digest of `{name}` is {said}, but its fields hash to {}", to_hex(&digest)))
        }
        Err(error) => findings.add(FILE, error.to_string()),
    }
}

fn check_set(manifest: &Manifest, name: &str, (s, w, windows): (u32, u32, u64), shards: &[Shard], findings: &Findings) {
    if s == 0 || !matches!(w.checked_sub(s), Some(0 | 1)) {
        findings.add(FILE, format!("`{name}`: windows of {w} tokens for sequences of {s}"));
    }
    let sum = shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.windows));
    if sum != windows {
        findings.add(FILE, format!("`{name}`: {windows} windows, but its shards have {sum}"));
    }
    let width = u64::from(w) * u64::from(manifest.token_dtype.width_u8());
    for shard in shards {
        if shard.windows.checked_mul(width) != Some(shard.bytes) {
            let (windows, bytes) = (shard.windows, shard.bytes);
            findings.add(FILE, format!("{}: {windows} windows of {width} bytes are not {bytes} bytes", shard.file));
        }
    }
}

/// Shard files that the manifest does not name, beside those that it does: a trainer that takes all files of a folder would
/// read them.
pub(super) fn check_strays(dir: &Path, manifest: &Manifest, findings: &Findings) -> Result<()> {
    let named: BTreeSet<&str> = all_shards(manifest).filter_map(|shard| shard.file.strip_suffix(".bin")).collect();
    let mut folders: BTreeSet<&str> =
        named.iter().filter_map(|file| file.rsplit_once('/')).map(|(folder, _)| folder).collect();
    folders.extend(manifest.phases.iter().map(|phase| phase.name.as_str()));
    for folder in folders {
        // A folder that is not there is found with its shards.
        let Ok(entries) = fs_err::read_dir(dir.join(folder)) else { continue };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name());
        }
        names.sort();
        for name in names {
            let Some(name) = name.to_str() else { continue };
            let Some((stem, "bin" | "idx" | "arrow")) = name.rsplit_once('.') else { continue };
            if !named.contains(format!("{folder}/{stem}").as_str()) {
                findings.add(
                    &format!("{folder}/{name}"),
                    "the manifest does not name this file; a trainer may read it by mistake",
                );
            }
        }
    }
    Ok(())
}

/// What the manifest says of windows and ids against what the shards hold.
pub(super) fn check_windows(manifest: &Manifest, totals: &Totals, whole: bool, findings: &Findings) {
    let add = |message: String| findings.add(FILE, message);
    if !whole {
        return;
    }
    if totals.max_token_id != manifest.max_token_id && totals.tokens > 0 {
        add(format!("max_token_id is {}, but the largest id is {}", manifest.max_token_id, totals.max_token_id));
    }
    for (set, phase) in (0_u32..).zip(&manifest.phases) {
        let said: BTreeMap<&str, u64> =
            phase.sources.iter().map(|source| (source.name.as_str(), source.windows)).collect();
        for (source, summary) in (0_u32..).zip(&manifest.sources) {
            let found = totals.windows.get(&(set, source)).copied().unwrap_or(0);
            let said = said.get(summary.name.as_str()).copied().unwrap_or(0);
            if found != said {
                add(format!(
                    "phase `{}`: {said} windows of `{}`, but its shards have {found}",
                    phase.name, summary.name
                ));
            }
        }
    }
    let phases = u32::try_from(manifest.phases.len()).unwrap_or(u32::MAX);
    for (set, summary) in (phases..).zip(&manifest.validation) {
        let own = manifest.sources.iter().position(|source| source.name == summary.source);
        let strangers = totals.windows.iter().any(|(&(s, source), _)| s == set && usize::try_from(source).ok() != own);
        if strangers {
            add(format!("held-out set `{}` has windows of another source", summary.path()));
        }
        let tokens: u64 = totals.emitted.iter().filter(|((s, _, _), _)| *s == set).map(|(_, tokens)| tokens).sum();
        if tokens != summary.tokens {
            add(format!("held-out set `{}`: {} tokens, but its windows hold {tokens}", summary.path(), summary.tokens));
        }
    }
}
