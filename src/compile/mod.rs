//! The whole way of a curriculum: ingest → dedup → settle → mix → emit → ledger → manifest.

mod account;
mod budget;
mod finished;
mod identity;
mod mapped;
mod near;
pub mod progress;
mod proof;
#[cfg(feature = "report")]
mod report;
mod survive;

use std::path::{Path, PathBuf};

use num_rational::BigRational;
use num_traits::{One, ToPrimitive};
use rayon::prelude::*;
use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::digest::to_hex;
use syllabus_reader::format::manifest::{ExpectResult, FORMAT_VERSION, Manifest, SourceSummary, TokenizerContract};

use crate::curriculum::{Curriculum, Loaded, Resolved};
use crate::dedup::removed;
use crate::emit::phase::{self, Emitted, Inputs};
use crate::emit::validation;
use crate::emit::written::WholeShards;
use crate::error::{Error, Result};
use crate::ingest::Watch;
use crate::ledger;
use crate::mix::Documents;
use crate::mix::{Draw, SourceStream, StreamError, bits_for};
use crate::plan::{self, Plan, SourceSize};
use crate::store::compact::{MOST_SEGMENTS, compact};
use crate::store::documents::{SourceStore, Survivors};
pub use budget::sampling_limits;
use progress::{Progress, Stage, Timed};
pub use survive::{Started, Survived, survive};

/// How to compile; nothing in here but `scale`, `thin` and `phases` changes what comes out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the dataset goes.
    pub out: PathBuf,
    /// Where relative paths of sources start; the curriculum's folder when not given.
    pub data: Option<PathBuf>,
    /// The phases to write; all when empty.
    pub phases: Vec<String>,
    /// Multiplies budgets and absolute weights.
    pub scale: BigRational,
    /// Keeps only documents whose key falls under this share.
    pub thin: Option<BigRational>,
    /// Ceiling of memory in bytes.
    pub memory: u64,
    /// Ceiling of bytes in the work folder.
    pub scratch: Option<u64>,
    /// Threads.
    pub threads: usize,
    /// The work folder; `OUT/.work` when not given.
    pub work: Option<PathBuf>,
    /// Bytes of documents in a segment; what memory allows when not given. Nothing may depend on it: for tests.
    pub segment_bytes: Option<u64>,
}

/// What a compile did.
#[derive(Debug)]
pub struct Outcome {
    /// The dataset's manifest.
    pub manifest: Manifest,
    /// The dataset was there already, and was only checked.
    pub reused: bool,
}

/// Compiles a curriculum. A finished dataset of the same request is checked, not made again.
///
/// # Errors
/// All that the curriculum, the sources, the disk and the budgets can have wrong, at the earliest gate that can know.
pub fn compile(loaded: &Loaded, options: &Options, watch: &Watch, progress: &dyn Progress) -> Result<Outcome> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|e| Error::Failed(format!("cannot start {} threads: {e}", options.threads)))?;
    let resolved = loaded.resolve(options.data.as_deref())?;
    let progress = Timed::new(progress);
    pool.install(|| run(&resolved, options, watch, &progress))
}

fn run(resolved: &Resolved, options: &Options, watch: &Watch, progress: &Timed<'_>) -> Result<Outcome> {
    let curriculum = &resolved.curriculum;
    let chosen = chosen_phases(curriculum, &options.phases)?;
    crate::files::make_folder(&options.out)?;
    let started = Started::new(resolved, options, false, progress)?;
    let request = identity::request(&started.identity, resolved, options, &chosen);
    if let Some(manifest) = finished::check(&options.out, &started.work, &request, progress)? {
        return Ok(Outcome { manifest, reused: true });
    }
    let survived = survive::survive(&started, resolved, options, watch, progress)?;
    let Started { work, store, contract, memory, .. } = &started;
    let Survived { stores, duplicates, others, refusal } = survived;
    refusal.map_or(Ok(()), Err)?;
    let names: Vec<String> = curriculum.sources.iter().map(|s| s.name.clone()).collect();
    let width = contract.dtype.width();

    progress.begin(Stage::Settle, None);
    let compacted = compact_large(&stores, work, contract.dtype, memory.segment_bytes, watch)?;
    let readable: Vec<&SourceStore> = stores.iter().zip(&compacted).map(|(s, c)| c.as_ref().unwrap_or(s)).collect();
    let survivors = readable
        .par_iter()
        .map(|store| watch.check().and_then(|()| Survivors::count(store, bits_for)))
        .collect::<Vec<Result<Survivors<'_>>>>()
        // The first error, whatever the threads.
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let sizes: Vec<SourceSize> =
        survivors.iter().map(|s| SourceSize::counted(s.totals().tokens, s.totals().documents)).collect();
    let plan = exact_plan(curriculum, &sizes, options, width)?;
    plan.warnings.iter().for_each(|warning| progress.warn(warning));
    watch.check()?;
    let streams = streams(curriculum, &plan, &survivors)?;
    watch.check()?;
    progress.end();

    let mut whole = WholeShards::read(work, &options.out, &request)?;
    finished::begin(&options.out, work, &|shard| whole.knows(shard))?;
    whole.begin()?;
    let inputs = Inputs { curriculum, contract, stores: &readable, streams: &streams };
    let windows: u64 = chosen.iter().map(|&p| plan.phases[p].windows).sum();
    progress.begin(Stage::Emit, Some(windows));
    // Else most of what would be read at once is never asked for.
    if survive::asks_for_most(curriculum, options, &sizes) {
        mapped::tokens(&readable, memory.free_bytes, watch)?;
    }
    let mut max_token_id = 0;
    let originals: Vec<&SourceStore> = stores.iter().collect();
    let mut validation_sets = Vec::new();
    if let Some(set) = &curriculum.holdout {
        for source in 0..stores.len() {
            if let Some((summary, max_id)) =
                validation::emit(&options.out, curriculum, set, source, &originals, contract, watch)?
            {
                max_token_id = max_token_id.max(max_id);
                validation_sets.push(summary);
            }
        }
    }
    let mut phases = Vec::new();
    let mut emitted: Vec<(usize, Emitted)> = Vec::new();
    for &number in &chosen {
        let phase = &plan.phases[number];
        let (summary, counts) =
            phase::emit(&options.out, &inputs, number, phase, &mut whole, watch, &|windows| progress.advance(windows))?;
        max_token_id = max_token_id.max(counts.max_id);
        phases.push(summary);
        emitted.push((number, counts));
    }
    progress.end();
    if whole.reused() > 0 {
        progress.note(&format!("{} shards that an earlier run wrote were whole and stayed", whole.reused()));
    }

    watch.check()?;
    progress.begin(Stage::Ledger, None);
    let rows = account::rows(curriculum, store, &stores, &survivors, &streams, &plan, &emitted)?;
    let stored = account::stored_windows(&phases);
    if let Some(imbalance) = ledger::balance(&rows, &stored).first() {
        return Err(Error::Failed(format!("the ledger does not balance (a defect of Syllabus): {imbalance}")));
    }
    let sources = curriculum
        .sources
        .iter()
        .zip(&survivors)
        .map(|(source, survivors)| SourceSummary {
            name: source.name.clone(),
            group: source.group.clone(),
            documents: survivors.totals().documents,
            tokens: survivors.totals().tokens,
            bytes: survivors.totals().bytes,
        })
        .collect();
    // What the mix kept of all documents makes room for what is written now.
    drop(streams);
    drop(survivors);
    // Giving maps back takes a while, and nobody needs to wait for it: one thread suffices for most of what follows.
    rayon::spawn(move || drop((stores, compacted)));
    ledger::write(&options.out.join("ledger.parquet"), &rows)?;
    removed::write(&options.out.join("removed.parquet"), &duplicates, &others, &names)?;
    duplicates.discard()?;
    others.discard()?;
    let expect = judge_expectations(curriculum, &plan, &chosen, &phases);
    let mut manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: curriculum.name.clone(),
        dataset_digest: String::new(),
        curriculum: resolved.text.clone(),
        seed: curriculum.seed,
        scale: options.scale.to_string(),
        thin: options.thin.clone().unwrap_or_else(BigRational::one).to_string(),
        tokenizer: TokenizerContract {
            name: contract.name.clone(),
            digest: to_hex(&contract.digest),
            vocab_size: contract.vocab_size,
            bos_id: contract.bos_id,
            eos_id: contract.eos_id,
            pad_id: contract.pad_id,
            backend: contract.backend.clone(),
        },
        token_dtype: contract.dtype,
        max_token_id,
        sources,
        phases,
        validation: validation_sets,
        ledger: account::totals(&rows),
        expect,
    };
    manifest.dataset_digest = to_hex(&manifest.recompute_digest()?);
    progress.end();
    #[cfg(feature = "report")]
    report::write(&manifest, options, watch, progress, memory.free_bytes)?;
    crate::files::write_whole(&Manifest::path(&options.out), &manifest.to_json()?)?;
    finished::end(work, &request)?;
    whole.end()?;
    Ok(Outcome { manifest, reused: false })
}

/// Indices of the phases to write, in training order.
fn chosen_phases(curriculum: &Curriculum, names: &[String]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..curriculum.phases.len()).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let Some(number) = curriculum.phases.iter().position(|phase| phase.name == *name) else {
            let known: Vec<String> = curriculum.phases.iter().map(|phase| format!("`{}`", phase.name)).collect();
            let summary = format!("--phase {name}: no such phase; the curriculum has {}", known.join(", "));
            return Err(Error::Curriculum { rendered: String::new(), summary });
        };
        chosen.push(number);
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// Sources of many segments, merged into few.
fn compact_large(
    stores: &[SourceStore],
    work: &Path,
    dtype: TokenDtype,
    limit: usize,
    watch: &Watch,
) -> Result<Vec<Option<SourceStore>>> {
    stores
        .iter()
        .enumerate()
        .map(|(s, store)| {
            watch.check()?;
            if store.segments.len() <= MOST_SEGMENTS {
                return Ok(None);
            }
            compact(store, &work.join("compacted").join(s.to_string()), dtype, limit).map(Some)
        })
        .collect()
}

/// The plan on counted sizes, with every count of windows exact.
fn exact_plan(curriculum: &Curriculum, sizes: &[SourceSize], options: &Options, width: usize) -> Result<Plan> {
    let plan = plan::plan(curriculum, sizes, &options.scale, width)?;
    if plan.phases.iter().all(|phase| phase.exact) {
        return Ok(plan);
    }
    let walked = plan::simulate::simulate(&plan, options.threads, &|_| {})?;
    let plan = plan::simulate::settled(curriculum, &plan, &walked)?;
    plan::feasible::gate(curriculum, &plan)?;
    plan::expect::gate(curriculum, &plan)?;
    Ok(plan)
}

/// Each source's stream of windows: the last gate, exact to the window.
fn streams<'a>(curriculum: &Curriculum, plan: &Plan, survivors: &'a [Survivors<'a>]) -> Result<Vec<SourceStream<'a>>> {
    let stream = |(s, source): (usize, &'a Survivors<'a>)| {
        let draws: Vec<Draw> = plan
            .phases
            .iter()
            .map(|phase| Draw {
                windows: phase.source_windows[s],
                window_tokens: phase.window_tokens,
                packing: phase.packing,
            })
            .collect();
        let max_epochs = plan.sources[s].max_epochs.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let documents: &dyn Documents = source;
        let name = &plan.sources[s].name;
        SourceStream::new(documents, curriculum.seed, name, max_epochs, &draws).map_err(|e| short(plan, e))
    };
    // The first error, whatever the threads.
    survivors.par_iter().enumerate().map(stream).collect::<Vec<_>>().into_iter().collect()
}

/// A source that falls short once its documents are packed: only packing knows.
fn short(plan: &Plan, error: StreamError) -> Error {
    let StreamError::Exhausted { source_name, draw, asked, available, .. } = &error else { return error.into() };
    let phase = &plan.phases[*draw].name;
    let count = plan::number::count;
    Error::Infeasible {
        rendered: format!(
            "source `{source_name}` is asked for {} windows in phase `{phase}`; packed, its permitted epochs hold {}.\n\
             What would do: a larger `max_epochs` for `{source_name}`, `on_exhausted: repeat`, or a smaller share of it in \
             `{phase}`.",
            count(*asked),
            count(*available)
        ),
        summary: format!(
            "source `{source_name}` falls short by {} windows in phase `{phase}`; raise its `max_epochs` or lower its share",
            count(asked.saturating_sub(*available))
        ),
    }
}

/// The `expect` lines of the phases that were written, on the windows that were written.
fn judge_expectations(
    curriculum: &Curriculum,
    plan: &Plan,
    chosen: &[usize],
    phases: &[syllabus_reader::format::manifest::PhaseSummary],
) -> Vec<ExpectResult> {
    let unique: Vec<u64> = plan.sources.iter().map(|source| source.size.tokens).collect();
    let mut results = Vec::new();
    for (&number, written) in chosen.iter().zip(phases) {
        let windows: Vec<u64> = curriculum
            .sources
            .iter()
            .map(|source| written.sources.iter().find(|s| s.name == source.name).map_or(0, |s| s.windows))
            .collect();
        for expect in &curriculum.phases[number].expect {
            let stored = &plan.phases[number].stored;
            let judged = plan::expect::judge(expect, written.window_tokens, &windows, stored, &unique);
            results.push(ExpectResult {
                phase: written.name.clone(),
                text: expect.text.clone(),
                value: judged.value.to_f64().unwrap_or(f64::MAX),
                holds: judged.holds,
            });
        }
    }
    results
}

/// Where the tokenizer of a dataset was when it was compiled, if that is known and it is still there.
#[must_use]
pub fn tokenizer_of(out: &Path) -> Option<PathBuf> {
    let noted = fs_err::read_to_string(work_folder(out).join("tokenizer")).ok()?;
    let path = PathBuf::from(noted.trim_end_matches('\n'));
    path.is_file().then_some(path)
}

/// The work folder of a dataset.
#[must_use]
pub fn work_folder(out: &Path) -> PathBuf {
    out.join(".work")
}
