//! What can be said of a curriculum file before it is compiled: the plan, on samples of the data or on declared sizes, with what
//! it will take. The command line shows it, and so does the Python package.

use std::path::Path;

use num_rational::BigRational;
use syllabus_reader::format::TokenDtype;

use crate::curriculum::{Curriculum, Loaded};
use crate::dedup::near::NearOptions;
use crate::error::Result;
use crate::plan::predict::{Conditions, Volume, predict};
use crate::plan::simulate::{settled, simulate};
use crate::plan::view::{Extras, PlanView, view};
use crate::plan::{self, Plan, SourceSize, declared_sizes, expect, exports, feasible, number};
use crate::sample::{self, Sampled};

/// How to look ahead.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Where relative paths of sources start; sizes are then estimated from the files, whatever the curriculum declares.
    pub data: Option<&'a Path>,
    /// Multiplies budgets and absolute weights.
    pub scale: BigRational,
    /// Walk the whole window schedule.
    pub simulate: bool,
    /// Threads.
    pub threads: usize,
}

/// A plan and all that is said of it, feasible or not.
#[derive(Debug)]
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// The plan as data.
    pub view: PlanView,
    /// What the sizes were taken from, where no data was read.
    pub note: Option<String>,
}

impl Preview {
    /// Fails when the plan cannot be carried out.
    ///
    /// # Errors
    /// `Infeasible`, with what falls short and a patch.
    pub fn gate(&self, curriculum: &Curriculum) -> Result<()> {
        feasible::gate(curriculum, &self.plan)?;
        expect::gate(curriculum, &self.plan)
    }
}

/// Looks ahead.
///
/// # Errors
/// What the sources, the tokenizer and the curriculum can have wrong; that a plan is not feasible is no error here.
pub fn preview(loaded: &Loaded, request: &Request<'_>) -> Result<Preview> {
    let curriculum = &loaded.curriculum;
    let known = known(loaded, request)?;
    let mut plan = plan::draft(curriculum, &known.sizes, &request.scale, known.dtype.width())?;
    let mut walked = None;
    if request.simulate {
        let simulation = simulate(&plan, request.threads, &|_| {})?;
        plan = settled(curriculum, &plan, &simulation)?;
        walked = Some(simulation);
    }
    let prediction = predict(&plan, &known.conditions);
    let exports = exports::exports(curriculum, &plan, known.dtype, known.vocab_size);
    let extras = Extras { exports, prediction: Some(prediction), simulation: walked.as_ref() };
    let view = view(curriculum, &plan, known.dtype, extras);
    Ok(Preview { plan, view, note: known.note })
}

/// The plan as data, without what it will take.
///
/// # Errors
/// As [`preview`].
pub fn plain(loaded: &Loaded, request: &Request<'_>) -> Result<PlanView> {
    let known = known(loaded, request)?;
    let plan = plan::draft(&loaded.curriculum, &known.sizes, &request.scale, known.dtype.width())?;
    Ok(view(&loaded.curriculum, &plan, known.dtype, Extras::default()))
}

/// What is known of sources and tokenizer before anything is compiled.
struct Known {
    sizes: Vec<SourceSize>,
    dtype: TokenDtype,
    vocab_size: Option<u32>,
    conditions: Conditions,
    note: Option<String>,
}

/// What an encoder may hold where the tokenizer was not read: the most that any backend does.
const ENCODER_BYTES: u64 = 120 << 20;

/// From samples of the data where it is there: with `data`, or when not every size is declared. Else from the curriculum.
fn known(loaded: &Loaded, request: &Request<'_>) -> Result<Known> {
    let curriculum = &loaded.curriculum;
    let declared = declared_sizes(curriculum);
    let near = curriculum.dedup.near.as_ref().map(NearOptions::new).transpose()?;
    if let (None, Ok(sizes)) = (request.data, &declared) {
        return Ok(without_data(sizes.clone(), request.threads, near));
    }
    let resolved = loaded.resolve(request.data)?;
    let sampled: Sampled = sample::sample(&resolved, request.threads, sample::limits(None))?;
    Ok(Known {
        conditions: Conditions {
            dtype: sampled.contract.dtype,
            volumes: sampled.volumes,
            tokenizer_bytes: fs_err::metadata(&resolved.tokenizer)?.len(),
            threads: request.threads as u64,
            encoder_bytes: sampled.encoder_bytes,
            ingest_rate: sampled.ingest_rate,
            emit_rate: None,
            near,
        },
        sizes: sampled.sizes,
        dtype: sampled.contract.dtype,
        vocab_size: Some(sampled.contract.vocab_size),
        note: None,
    })
}

fn without_data(sizes: Vec<SourceSize>, threads: usize, near: Option<NearOptions>) -> Known {
    // No tokenizer was read: four bytes a token is the cautious answer.
    let dtype = TokenDtype::U32;
    let conditions = Conditions {
        dtype,
        volumes: vec![Volume::default(); sizes.len()],
        tokenizer_bytes: 2 << 20,
        threads: threads as u64,
        encoder_bytes: ENCODER_BYTES,
        ingest_rate: None,
        emit_rate: None,
        near,
    };
    let note = format!(
        "no data read: sizes are those that the curriculum declares, and tokens are taken to be {} wide (with --data DIR both come from the files)",
        number::bytes(dtype.width() as u128)
    );
    Known { sizes, dtype, vocab_size: None, conditions, note: Some(note) }
}
