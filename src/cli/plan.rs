//! `syllabus plan`.

use syllabus_reader::format::TokenDtype;

use super::args::Plan;
use super::{colour, values};
use crate::curriculum;
use crate::dedup::near::NearOptions;
use crate::error::Result;
use crate::plan::predict::{Conditions, Volume, predict};
use crate::plan::simulate::{settled, simulate};
use crate::plan::view::{Extras, view};
use crate::plan::{self, SourceSize, declared_sizes, expect, exports, feasible, number, render};
use crate::sample::{self, Sampled};

/// Shows the plan first, feasible or not, and then refuses what is not.
pub fn run(args: &Plan) -> Result<()> {
    let loaded = curriculum::load(&args.file, colour())?;
    let curriculum = &loaded.curriculum;
    let threads = args.threads.unwrap_or_else(values::all_cores);
    let known = known(args, &loaded, threads)?;
    let mut plan = plan::draft(curriculum, &known.sizes, &args.scale, known.dtype.width())?;
    let mut walked = None;
    if args.simulate {
        let simulation = simulate(&plan, threads, &|_| {})?;
        plan = settled(curriculum, &plan, &simulation)?;
        walked = Some(simulation);
    }
    let prediction = predict(&plan, &known.conditions);
    let exports = exports::exports(curriculum, &plan, known.dtype, known.vocab_size);
    let extras = Extras { exports, prediction: Some(prediction), simulation: walked.as_ref() };
    let view = view(curriculum, &plan, known.dtype, extras);
    #[cfg(feature = "report")]
    if let Some(file) = &args.html {
        let report = crate::report::of_plan(&view, &loaded.text);
        crate::files::write_whole(file, crate::report::page(&report)?.as_bytes())?;
    }
    if args.json {
        super::print_json(&view)?;
    } else {
        super::print(&render::render(&view))?;
    }
    feasible::gate(curriculum, &plan)?;
    expect::gate(curriculum, &plan)
}

/// A curriculum's plan in the report's shape, without the gates: what falls short is in it.
#[cfg(feature = "report")]
pub fn report_of(file: &std::path::Path, data: Option<&std::path::Path>) -> Result<crate::report::model::MixReport> {
    use num_traits::One;
    let loaded = curriculum::load(file, colour())?;
    let args = Plan {
        file: file.to_owned(),
        scale: num_rational::BigRational::one(),
        data: data.map(std::path::Path::to_owned),
        simulate: false,
        json: true,
        html: None,
        threads: None,
    };
    let known = known(&args, &loaded, values::all_cores())?;
    let plan = plan::draft(&loaded.curriculum, &known.sizes, &args.scale, known.dtype.width())?;
    let view = view(&loaded.curriculum, &plan, known.dtype, Extras::default());
    Ok(crate::report::of_plan(&view, &loaded.text))
}

/// What is known of sources and tokenizer before anything is compiled.
struct Known {
    sizes: Vec<SourceSize>,
    dtype: TokenDtype,
    vocab_size: Option<u32>,
    conditions: Conditions,
}

/// What an encoder may hold where the tokenizer was not read: the most that any backend does.
const ENCODER_BYTES: u64 = 120 << 20;

/// From samples of the data where it is there: with `--data`, or when not every size is declared. Else from the curriculum.
fn known(args: &Plan, loaded: &curriculum::Loaded, threads: usize) -> Result<Known> {
    let curriculum = &loaded.curriculum;
    let declared = declared_sizes(curriculum);
    let near = curriculum.dedup.near.as_ref().map(NearOptions::new).transpose()?;
    if let (None, Ok(sizes)) = (&args.data, &declared) {
        return Ok(without_data(sizes.clone(), threads, near));
    }
    let resolved = loaded.resolve(args.data.as_deref())?;
    let sampled: Sampled = sample::sample(&resolved, threads)?;
    Ok(Known {
        conditions: Conditions {
            dtype: sampled.contract.dtype,
            volumes: sampled.volumes,
            tokenizer_bytes: fs_err::metadata(&resolved.tokenizer)?.len(),
            threads: threads as u64,
            encoder_bytes: sampled.encoder_bytes,
            ingest_rate: sampled.ingest_rate,
            emit_rate: None,
            near,
        },
        sizes: sampled.sizes,
        dtype: sampled.contract.dtype,
        vocab_size: Some(sampled.contract.vocab_size),
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
    super::say(&format!(
        "no data read: sizes are those that the curriculum declares, and tokens are taken to be {} wide (with --data DIR both come from the files)",
        number::bytes(dtype.width() as u128)
    ));
    Known { sizes, dtype, vocab_size: None, conditions }
}
