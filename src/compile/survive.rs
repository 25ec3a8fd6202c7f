//! From the sources to the survivors: what `syllabus dedup` runs, and the first half of a compile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::budget::{self, Budget};
use super::progress::{Progress, Stage};
use super::{Options, identity, near};
use crate::curriculum::Resolved;
use crate::dedup::exact::{self, Ranks};
use crate::dedup::holdout;
use crate::dedup::removed::{Duplicates, Reason, Removed};
use crate::error::{Error, Result};
use crate::ingest::contaminate::Benchmarks;
use crate::ingest::decode::Limits;
use crate::ingest::{self, Watch};
use crate::plan::{self, SourceSize};
use crate::sample;
use crate::store::Store;
use crate::store::documents::SourceStore;
use crate::store::journal::Identity;
use crate::tokenize::Contract;
use crate::tokenize::contract::Loaded;

/// A compile whose tokenizer is proved and whose store is open.
pub struct Started {
    /// The work folder.
    pub work: PathBuf,
    /// What the store is a function of.
    pub identity: Identity,
    /// The store.
    pub store: Store,
    /// The tokenizer.
    pub tokenizer: Loaded,
    /// Its contract.
    pub contract: Contract,
    /// Who gets how much memory.
    pub memory: Budget,
    benchmarks: Option<Arc<Benchmarks>>,
}

/// What is left after dedup, and what is not.
pub struct Survived {
    /// Each source's documents with their fates.
    pub stores: Vec<SourceStore>,
    /// Exact duplicates.
    pub duplicates: Duplicates,
    /// Documents removed for other reasons.
    pub others: Vec<Removed>,
}

impl Started {
    /// Loads and proves the tokenizer, reads the benchmarks, divides the memory, opens the store.
    pub fn new(resolved: &Resolved, options: &Options, progress: &dyn Progress) -> Result<Self> {
        let curriculum = &resolved.curriculum;
        curriculum.warnings.iter().for_each(|warning| progress.warn(warning));
        progress.begin(Stage::Tokenizer, None);
        let tokenizer = sample::tokenizer(resolved)?;
        tokenizer.warnings.iter().for_each(|warning| progress.warn(warning));
        let benchmarks = match &curriculum.decontaminate {
            None => None,
            Some(asked) => {
                let (ngram, coverage) = (asked.ngram, asked.coverage.as_ref());
                Some(Arc::new(Benchmarks::load(&resolved.benchmarks, &asked.fields, ngram, coverage)?))
            }
        };
        let contract = tokenizer.contract.clone();
        let memory = budget::split(options, budget::resident(), tokenizer.tokenizer.encoder_bytes())?;
        progress.end();
        let identity = identity::identity(resolved, &contract, benchmarks.as_deref(), options.thin.as_ref())?;
        let work = options.work.clone().unwrap_or_else(|| super::work_folder(&options.out));
        fs_err::create_dir_all(&work)?;
        // Only a convenience for `inspect`; what is proved stands in the manifest.
        crate::files::write_whole(&work.join("tokenizer"), format!("{}\n", resolved.tokenizer.display()).as_bytes())?;
        let (store, reuse) = Store::open(&work, contract.dtype, &identity)?;
        reuse.dropped.iter().for_each(|line| progress.note(&format!("stored work is not reused for {line}")));
        Ok(Self { work, identity, store, tokenizer, contract, memory, benchmarks })
    }
}

/// Ingests what is not stored yet, and decides which documents stay.
pub fn survive(
    started: &Started,
    resolved: &Resolved,
    options: &Options,
    watch: &Watch,
    progress: &dyn Progress,
) -> Result<Survived> {
    let curriculum = &resolved.curriculum;
    let Started { store, contract, memory, work, .. } = started;
    let tokenizer = &*started.tokenizer.tokenizer;
    let ingest_options = ingest::Options {
        threads: options.threads,
        limits: Limits { batch_bytes: memory.batch_bytes, max_page_bytes: memory.page_bytes, ..Limits::default() },
        segment_bytes: memory.segment_bytes,
        document_bytes: memory.document_bytes,
        benchmarks: started.benchmarks.clone(),
        shingle: curriculum.dedup.near.as_ref().map(|near| near.shingle),
        thin: options.thin.clone(),
    };
    progress.begin(Stage::Ingest, None);
    let warnings = ingest::ingest(resolved, tokenizer, contract, store, &ingest_options, watch, &|units| {
        progress.ingest(
            watch.units.load(Ordering::Relaxed),
            units,
            watch.documents.load(Ordering::Relaxed),
            watch.bytes.load(Ordering::Relaxed),
        );
    })?;
    progress.end();
    warnings.iter().for_each(|warning| progress.warn(warning));

    let names: Vec<&str> = curriculum.sources.iter().map(|s| s.name.as_str()).collect();
    let read: Vec<SourceSize> = names
        .iter()
        .map(|name| store.tokenized(name))
        .map(|totals| SourceSize::counted(totals.tokens, totals.documents))
        .collect();
    // Removals are not known yet: what falls short even without them is refused here. Shares that follow from sizes are not
    // known either, and may well be feasible with smaller ones.
    if !plan::hang_on_sizes(curriculum) {
        plan::feasible::gate(curriculum, &plan::draft(curriculum, &read, &options.scale, contract.dtype.width())?)?;
    }

    progress.begin(Stage::Dedup, None);
    let stores = names.iter().map(|name| store.source(name)).collect::<Result<Vec<SourceStore>>>()?;
    let scratch = work.join("scratch");
    fs_err::create_dir_all(&scratch)?;
    let duplicates = if curriculum.dedup.exact {
        exact::remove(&stores, &Ranks::new(&curriculum.sources), options.threads, &scratch)?
    } else {
        Duplicates::default()
    };
    let mut others = leaks(&names, store)?;
    if let Some(set) = &curriculum.holdout {
        holdout::hold_out(&stores, &curriculum.sources, curriculum.dedup.exact, set)?;
    }
    if let Some(asked) = &curriculum.dedup.near {
        watch.check()?;
        let search = near::Search { curriculum, near: asked, stores: &stores, tokenizer, contract };
        let (removed, warnings) = near::remove(&search, &scratch, memory.free_bytes, options.threads)?;
        others.extend(removed);
        warnings.iter().for_each(|warning| progress.warn(warning));
    }
    progress.end();
    Ok(Survived { stores, duplicates, others })
}

/// The documents that hold benchmark items.
fn leaks(names: &[&str], store: &Store) -> Result<Vec<Removed>> {
    let mut removed = Vec::new();
    for (source, name) in names.iter().enumerate() {
        for leak in store.leaks(name) {
            let document = u128::from_str_radix(&leak.document, 16)
                .map_err(|_| Error::Failed(format!("the journal holds a key `{}` that is none", leak.document)))?;
            let detail = format!("{} {}: \"{}\" at byte {}", leak.benchmark, leak.item, leak.ngram, leak.offset);
            let reason = Reason::Contaminated { detail, matched: leak.matched, total: leak.total };
            removed.push(Removed { document, source, reason });
        }
    }
    Ok(removed)
}
