//! What stored work is a function of, and what makes two requests the same.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use num_rational::BigRational;
use syllabus_reader::format::digest::to_hex;

use super::Options;
use crate::curriculum::Resolved;
use crate::curriculum::checked::Source;
use crate::curriculum::resolved::SourceFile;
use crate::dedup::near::signature;
use crate::error::Result;
use crate::ingest::contaminate::Benchmarks;
use crate::store::journal::Identity;
use crate::tokenize::Contract;

/// The store's identity: what any segment depends on, each thing by the name that a person would call it.
pub fn identity(
    resolved: &Resolved,
    contract: &Contract,
    benchmarks: Option<&Benchmarks>,
    thin: Option<&BigRational>,
) -> Result<Identity> {
    let curriculum = &resolved.curriculum;
    let mut common = BTreeMap::new();
    common.insert("the tokenizer".to_owned(), to_hex(&contract.digest));
    common.insert("BOS".to_owned(), format!("{:?}", contract.bos_id));
    common.insert("EOS".to_owned(), format!("{:?}", contract.eos_id));
    common.insert("`special`".to_owned(), format!("{:?}", curriculum.tokenizer.special));
    common.insert("--thin".to_owned(), thin.map_or_else(|| "1".to_owned(), ToString::to_string));
    common.insert("`decontaminate`".to_owned(), benchmarks.map_or_else(String::new, |b| to_hex(&b.digest())));
    let near = curriculum.dedup.near.as_ref();
    let signed =
        near.map_or_else(String::new, |near| format!("{} words, version {}", near.shingle, signature::VERSION));
    common.insert("near-duplicate signatures".to_owned(), signed);
    // The ids are the same by proof; but what one backend has encoded before the proof failed must not pass for the other's.
    // A newer version of one is still that one.
    let backend = contract.backend.rsplit_once(' ').map_or(&*contract.backend, |(name, _version)| name);
    common.insert("`backend`".to_owned(), backend.to_owned());
    Ok(Identity { common, sources: sources(resolved)? })
}

/// What each source's segments depend on.
pub fn sources(resolved: &Resolved) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut sources = BTreeMap::new();
    for (source, files) in resolved.curriculum.sources.iter().zip(&resolved.files) {
        let mut of = BTreeMap::new();
        of.insert("`text`".to_owned(), format!("{:?}", source.text));
        if let Some(tokenized) = &source.tokenized {
            of.insert("`tokenized`".to_owned(), format!("{tokenized:?}"));
        }
        of.insert("`where`".to_owned(), source.filter.as_ref().map(|f| f.text.clone()).unwrap_or_default());
        of.insert("text rules".to_owned(), format!("{:?}", source.rules));
        of.insert("`on_bad_row`".to_owned(), format!("{:?}", source.on_bad_row));
        of.insert("`max_document_bytes`".to_owned(), source.max_document_bytes.to_string());
        of.insert("files".to_owned(), files_digest(&with_sidecars(source, files)?)?);
        sources.insert(source.name.clone(), of);
    }
    Ok(sources)
}

/// The files, and what lies beside them that says where documents end.
fn with_sidecars(source: &Source, files: &[SourceFile]) -> Result<Vec<SourceFile>> {
    let mut all = files.to_vec();
    for file in files {
        for path in source.tokenized.iter().flat_map(|tokenized| tokenized.sidecars(&file.path)) {
            // One that is not there may be one that need not be.
            if let Ok(metadata) = fs_err::metadata(&path) {
                all.push(SourceFile { path, bytes: metadata.len() });
            }
        }
    }
    Ok(all)
}

/// Digest of paths, sizes and times of change: enough to notice that a file is not the one that was read.
fn files_digest(files: &[SourceFile]) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    for file in files {
        let changed = fs_err::metadata(&file.path)?.modified()?;
        let changed = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let path = file.path.as_os_str().as_encoded_bytes();
        hash.update(&(path.len() as u64).to_le_bytes()).update(path);
        hash.update(&file.bytes.to_le_bytes()).update(&changed.to_le_bytes());
    }
    Ok(hash.finalize().to_hex().to_string())
}

/// Digest of everything that the output is a function of.
pub fn request(identity: &Identity, resolved: &Resolved, options: &Options, chosen: &[usize]) -> String {
    let mut hash = blake3::Hasher::new();
    let mut field = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    field(&resolved.text);
    field(&options.scale.to_string());
    field(&format!("{chosen:?}"));
    field(&format!("{identity:?}"));
    hash.finalize().to_hex().to_string()
}
