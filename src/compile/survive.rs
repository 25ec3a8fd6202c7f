//! From the sources to the survivors: what `syllabus dedup` runs, and the first half of a compile.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use num_rational::BigRational;

use super::budget::{self, Budget};
use super::progress::{Progress, Stage};
use super::proof::{self, Proof};
use super::{Options, identity, mapped, near};
use crate::curriculum::checked::Phase;
use crate::curriculum::{Curriculum, Resolved};
use crate::dedup::evidence::{Evidence, EvidenceWriter};
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
use crate::tokenize::file::TokenizerFile;
use crate::tokenize::judge::Sampling;
use crate::tokenize::{Contract, Tokenizer, contract, reference};

/// A compile whose tokenizer is proved and whose store is open.
pub struct Started {
    /// The work folder.
    pub work: PathBuf,
    /// What the store is a function of.
    pub identity: Identity,
    /// The store.
    pub store: Store,
    tokenizer: Option<Box<dyn Tokenizer>>,
    /// The tokenizer's contract.
    pub contract: Contract,
    /// Who gets how much memory.
    pub memory: Budget,
    benchmarks: Option<Arc<Benchmarks>>,
    /// The tokenizer's judge, who is yet to see documents.
    judge: Mutex<Option<Sampling>>,
    /// What it proves.
    proof: Proof,
    /// `--scratch`, kept as long as this lives.
    _limit: Option<crate::files::Limit>,
}

/// What is left after dedup, and what is not.
pub struct Survived {
    /// Each source's documents with their fates.
    pub stores: Vec<SourceStore>,
    /// Exact duplicates.
    pub duplicates: Duplicates,
    /// Documents removed for other reasons.
    pub others: Evidence,
    /// A source that lost more to near duplicates than it may. `dedup` shows what goes all the same; a compile ends with it.
    pub refusal: Option<Error>,
}

/// Most memory for sorting what was removed.
const MOST_EVIDENCE: u64 = 64 << 20;

impl Started {
    /// Loads and proves the tokenizer, reads the benchmarks, divides the memory, opens the store.
    ///
    /// What an earlier run has proved is not proved again, and a tokenizer that nothing will need is not loaded: `decodes`
    /// says that somebody will want texts.
    pub fn new(resolved: &Resolved, options: &Options, decodes: bool, progress: &dyn Progress) -> Result<Self> {
        let curriculum = &resolved.curriculum;
        let spec = &curriculum.tokenizer;
        curriculum.warnings.iter().for_each(|warning| progress.warn(warning));
        progress.begin(Stage::Tokenizer, None);
        budget::check_tokenizer(&resolved.tokenizer, options.memory)?;
        let work = options.work.clone().unwrap_or_else(|| super::work_folder(&options.out));
        crate::files::make_folder(&work)?;
        let limit = options.scratch.map(|most| crate::files::limit(&work, most)).transpose()?;
        // Most likely nobody needs more than its digest where it was proved before.
        let read = if Proof::exists(&work) { TokenizerFile::hashed } else { TokenizerFile::read };
        let file = read(&resolved.tokenizer)?;
        let proof_key = proof::key(resolved, &file)?;
        let known = Proof::read(&work, &proof_key);
        // Neither needs the other.
        let (loaded, benchmarks) = rayon::join(
            || match known {
                Some(_) => Ok(None),
                None => contract::unjudged(&file, spec, &|| Ok(Vec::new())).map(Some),
            },
            || {
                let asked = curriculum.decontaminate.as_ref()?;
                let (ngram, coverage) = (asked.ngram, asked.coverage.as_ref());
                Some(Benchmarks::load(&resolved.benchmarks, &asked.fields, ngram, coverage).map(Arc::new))
            },
        );
        let (mut loaded, benchmarks) = (loaded?, benchmarks.transpose()?);
        let file = loaded.is_none().then_some(file);
        let mut judge = None;
        if let Some(loaded) = &mut loaded {
            // Where another backend may take over, it must before the first document is encoded; where memory is short, the
            // reference must be gone by then; and documents that an earlier run has stored are not seen again.
            if loaded.is_strict() && budget::resident() <= options.memory / 3 && !Store::exists(&work) {
                let bytes: Vec<u64> = resolved.files.iter().map(|files| sample::judged_bytes(files)).collect();
                judge = loaded.take_judge().map(|judge| Sampling::new(judge, &bytes));
            } else {
                loaded.also_judge(sample::judged(resolved, budget::sampling_limits(options.memory)));
                loaded.judge()?;
            }
        }
        let (contract, warnings) = match (&loaded, known) {
            (Some(loaded), _) => (loaded.contract.clone(), loaded.warnings.clone()),
            (None, Some((proof, contract))) => (contract, proof.warnings),
            (None, None) => return Err(Error::Failed("no tokenizer was loaded (a defect of Syllabus)".to_owned())),
        };
        warnings.iter().for_each(|warning| progress.warn(warning));
        let identity = identity::identity(resolved, &contract, benchmarks.as_deref(), options.thin.as_ref())?;
        // Only a convenience for `inspect`; what is proved stands in the manifest.
        crate::files::write_whole(&work.join("tokenizer"), format!("{}\n", resolved.tokenizer.display()).as_bytes())?;
        let (store, reuse) = Store::open(&work, contract.dtype, &identity)?;
        if !reuse.kept.is_empty() {
            progress.note(&format!("stored work is reused for {}", reuse.kept.join(", ")));
        }
        reuse.dropped.iter().for_each(|line| progress.note(&format!("stored work is not reused for {line}")));
        let proof = Proof::new(&proof_key, &contract, &warnings);
        if loaded.is_some() && judge.is_none() {
            proof.write(&work)?;
        }
        let whole = curriculum.sources.iter().all(|source| store.is_complete(&source.name));
        let tokenizer = match (loaded, file) {
            (Some(loaded), _) => Some(loaded.tokenizer),
            (None, Some(file)) if !whole || decodes || curriculum.dedup.near.is_some() => {
                let reference = contract.backend == reference::BACKEND;
                Some(contract::proved(&file, &spec.special, reference)?)
            }
            (None, _) => None,
        };
        let encoder = tokenizer.as_ref().map_or(0, |tokenizer| tokenizer.encoder_bytes());
        let memory = budget::split(options, budget::resident(), encoder)?;
        progress.end();
        Ok(Self {
            work,
            identity,
            store,
            tokenizer,
            contract,
            memory,
            benchmarks,
            judge: Mutex::new(judge),
            proof,
            _limit: limit,
        })
    }

    /// The tokenizer, where one was needed.
    ///
    /// # Errors
    /// Where nothing was to be encoded or decoded.
    pub fn tokenizer(&self) -> Result<&dyn Tokenizer> {
        self.tokenizer.as_deref().map(|tokenizer| tokenizer as &dyn Tokenizer).ok_or_else(|| {
            Error::Failed("the tokenizer is asked for, but was not loaded (a defect of Syllabus)".to_owned())
        })
    }

    /// Whoever is still to prove the tokenizer, on the documents as they are encoded.
    fn take_judge(&self) -> Option<Sampling> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    let ingest_options = ingest::Options {
        threads: options.threads,
        limits: Limits {
            batch_bytes: memory.batch_bytes,
            max_page_bytes: memory.page_bytes,
            held_document_bytes: memory.document_bytes,
            small_piece_bytes: memory.small_bytes,
            ..Limits::default()
        },
        segment_bytes: memory.segment_bytes,
        document_bytes: memory.document_bytes,
        benchmarks: started.benchmarks.clone(),
        shingle: curriculum.dedup.near.as_ref().map(|near| near.shingle),
        thin: options.thin.clone(),
    };
    progress.begin(Stage::Ingest, None);
    let tokenizer = started.tokenizer.as_deref();
    let judge = started.take_judge();
    let judged = judge.is_some();
    let warnings = ingest::ingest(resolved, tokenizer, contract, store, &ingest_options, judge, watch, &|units| {
        progress.ingest(
            watch.units.load(Ordering::Relaxed),
            units,
            watch.documents.load(Ordering::Relaxed),
            watch.bytes.load(Ordering::Relaxed),
        );
    })?;
    if judged {
        started.proof.write(work)?;
    }
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
    let all: Vec<&SourceStore> = stores.iter().collect();
    mapped::tables(&all, memory.free_bytes, watch)?;
    // Emitting will map them; until then equal documents are compared by them.
    if curriculum.dedup.exact && asks_for_most(curriculum, options, &read) {
        mapped::tokens(&all, memory.free_bytes, watch)?;
    }
    let scratch = work.join("scratch");
    crate::files::make_folder(&scratch)?;
    let duplicates = if curriculum.dedup.exact {
        exact::remove(&stores, &Ranks::new(&curriculum.sources), options.threads, &scratch, watch)?
    } else {
        Duplicates::default()
    };
    let sorting = (memory.free_bytes / 16).min(MOST_EVIDENCE);
    let mut others = EvidenceWriter::create(&scratch, sorting)?;
    leaks(&names, store, &mut others)?;
    if let Some(set) = &curriculum.holdout {
        holdout::hold_out(&stores, &curriculum.sources, curriculum.dedup.exact, set)?;
    }
    let mut refusal = None;
    if let Some(asked) = &curriculum.dedup.near {
        watch.check()?;
        let tokenizer = started.tokenizer()?;
        let search = near::Search { curriculum, near: asked, stores: &stores, tokenizer, contract, watch };
        let free = memory.free_bytes.saturating_sub(sorting + mapped::tokens(&all, memory.free_bytes, watch)?);
        let judged = near::remove(&search, &scratch, free, options.threads, &mut |removed| others.push(&removed))?;
        judged.warnings.iter().for_each(|warning| progress.warn(warning));
        refusal = judged.refusal;
    }
    let others = others.finish()?;
    progress.end();
    Ok(Survived { stores, duplicates, others, refusal })
}

/// Whether the phases to write ask for half of what the sources have, or more.
pub(super) fn asks_for_most(curriculum: &Curriculum, options: &Options, sources: &[SourceSize]) -> bool {
    let chosen = |phase: &&Phase| options.phases.is_empty() || options.phases.contains(&phase.name);
    let asked: u128 = curriculum.phases.iter().filter(chosen).map(|phase| u128::from(phase.tokens)).sum();
    let have: u128 = sources.iter().map(|size| u128::from(size.tokens)).sum();
    BigRational::from_integer((2 * asked).into()) * &options.scale >= BigRational::from_integer(have.into())
}

/// The documents that hold benchmark items.
fn leaks(names: &[&str], store: &Store, out: &mut EvidenceWriter) -> Result<()> {
    store.leaks(&mut |name, leak| {
        let Some(source) = names.iter().position(|of| *of == name) else { return Ok(()) };
        let document = u128::from_str_radix(&leak.document, 16)
            .map_err(|_| Error::Failed(format!("the journal holds a key `{}` that is none", leak.document)))?;
        let detail = format!("{} {}: \"{}\" at byte {}", leak.benchmark, leak.item, leak.ngram, leak.offset);
        let reason = Reason::Contaminated { detail, matched: leak.matched, total: leak.total };
        out.push(&Removed { document, source, reason })
    })
}
