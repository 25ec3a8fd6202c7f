//! A plan in the report's shape: what is asked, and what will come, before any data is read.

use super::{drift, phase_drift};
use crate::plan::view::{PhaseSourceView, PhaseView, PlanView, SourceView};
use crate::report::model::{
    Expect, FORMAT_VERSION, Kind, MixReport, Phase, PhaseDrift, PhaseSource, PlanPart, Size, Source, SourceDrift,
    TrainerForm, Verdict,
};

/// The report of a plan; `curriculum` is the text of its file.
#[must_use]
pub fn of_plan(plan: &PlanView, curriculum: &str) -> MixReport {
    let mut first_window = 0;
    let phases = (plan.phases.iter())
        .map(|of| {
            first_window += of.windows;
            phase(plan, of, first_window - of.windows)
        })
        .collect();
    let expect = plan.phases.iter().flat_map(|phase| {
        phase.expect.iter().map(|line| Expect {
            phase: phase.name.clone(),
            text: line.text.clone(),
            value: line.value,
            epochs: super::counts_epochs(&line.text),
            holds: line.holds,
        })
    });
    let width = plan.token_dtype.width() as u64;
    let stored = plan.phases.iter().map(|phase| phase.windows.saturating_mul(phase.window_tokens.into()));
    MixReport {
        format_version: FORMAT_VERSION,
        kind: Kind::Plan,
        name: plan.name.clone(),
        dataset_digest: None,
        seed: plan.seed,
        scale: plan.scale.clone(),
        thin: None,
        tokens: plan.tokens,
        windows: plan.windows,
        bytes: stored.fold(0, u64::saturating_add).saturating_mul(width),
        token_dtype: plan.token_dtype.to_string(),
        verdict: Verdict {
            expect: expect.collect(),
            ledger_balances: None,
            verification: None,
            sources_suffice: Some(plan.sources.iter().all(|source| source.left.is_none_or(|left| left >= 0))),
        },
        tokenizer: None,
        sources: plan.sources.iter().map(|of| source(plan, of)).collect(),
        phases,
        bins: Vec::new(),
        flow: None,
        concentration: Vec::new(),
        distributions: None,
        evidence: None,
        plan: plan.prediction.as_ref().map(|prediction| PlanPart {
            output_bytes: prediction.output_bytes(),
            scratch_bytes: prediction.scratch_bytes,
            memory_floor_bytes: prediction.memory_floor,
            seconds: prediction.seconds,
            exports: plan
                .exports
                .iter()
                .map(|export| TrainerForm {
                    name: export.name.to_owned(),
                    trainers: export.trainers.to_owned(),
                    allowed: export.allowed,
                    note: export.note.clone(),
                })
                .collect(),
        }),
        warnings: plan.warnings.clone(),
        curriculum: curriculum.to_owned(),
        syllabus: env!("CARGO_PKG_VERSION").to_owned(),
        run: None,
    }
}

fn source(plan: &PlanView, of: &SourceView) -> Source {
    let parts = plan.phases.iter().flat_map(|phase| &phase.sources).filter(|part| part.name == of.name);
    let tokens: u64 = parts.map(|part| part.tokens).sum();
    Source {
        name: of.name.clone(),
        group: of.group.clone(),
        size: Size {
            tokens: of.unique_tokens,
            documents: of.documents,
            bytes: None,
            basis: match of.basis {
                crate::plan::Basis::Counted => "counted",
                crate::plan::Basis::Estimated => "estimated",
                crate::plan::Basis::Declared => "declared",
            }
            .to_owned(),
            spread: of.spread,
        },
        tokens_per_byte: None,
        max_epochs: of.max_epochs,
        windows: of.windows,
        tokens,
        share: super::ratio(tokens, plan.tokens).unwrap_or(0.0),
        stored_tokens: of.stored_tokens,
        epochs: of.epochs,
        unseen_tokens: Some(of.unique_tokens.saturating_sub(of.stored_tokens)),
        left: of.left,
        flow: None,
        epoch_use: Vec::new(),
        natural: None,
        held_out: None,
    }
}

fn phase(plan: &PlanView, of: &PhaseView, first_window: u64) -> Phase {
    let sources: Vec<PhaseSource> = of.sources.iter().map(|source| phase_source(plan, of, source)).collect();
    Phase {
        name: of.name.clone(),
        digest: None,
        sequence_length: of.sequence_length,
        window_tokens: of.window_tokens,
        packing: of.packing.to_owned(),
        first_window,
        windows: of.windows,
        tokens: of.tokens,
        shards: of.shards,
        exact: of.exact,
        ramp: of.ramp,
        drift: phase_drift(&sources, 0).map(|drift| PhaseDrift { block: drift::BLOCK, ..drift }),
        sources,
    }
}

fn phase_source(plan: &PlanView, phase: &PhaseView, of: &PhaseSourceView) -> PhaseSource {
    let mean = (of.share_from + of.share_to) / 2.0;
    let up_to = plan.phases.iter().position(|other| other.name == phase.name).map_or(0, |at| at + 1);
    let parts = plan.phases.iter().take(up_to);
    let stored = parts.flat_map(|other| {
        let parts = other.sources.iter().filter(|part| part.name == of.name);
        parts.map(|part| part.windows.saturating_mul(other.window_tokens.into()))
    });
    PhaseSource {
        name: of.name.clone(),
        share_from: of.share_from,
        share_to: of.share_to,
        share: mean,
        got: super::ratio(of.windows, phase.windows).unwrap_or(0.0),
        windows_off: of.windows as f64 - mean * phase.windows as f64,
        windows: of.windows,
        tokens: of.tokens,
        documents: None,
        padding: None,
        epochs: of.epochs,
        unseen_tokens: Some(of.unique_tokens.saturating_sub(stored.fold(0, u64::saturating_add))),
        left: of.left,
        drift: of.drift.as_ref().map(|drift| SourceDrift {
            border: drift.at_borders,
            border_after: drift.at_borders_after,
            span: None,
            span_from: None,
        }),
    }
}
