//! The curriculum as the file says it: keys and spellings are known, meanings are not yet checked.
//!
//! Every type reads itself from a YAML node, tells what is wrong in words that show the legal spellings, and goes on, so that
//! one run finds all errors. The same definitions make the JSON Schema.

#[macro_use]
mod object;
mod dedup;
mod mix;
mod phase;
mod read;
mod scalars;
mod source;
mod tokenized;
mod tokenizer;

pub use dedup::{RawCoverage, RawDecontaminate, RawDedup, RawHoldout, RawMaxRemoved, RawNear};
pub use mix::{RawBoost, RawMix, RawOf, RawPart, RawShare};
pub use phase::{RawMixRef, RawPhase, RawPhaseMix, RawRamp};
pub use read::{Item, Named, Raw, Slot};
pub use scalars::{Count, Factor, Flag, Integer, OneOrMany, Share, Size, Text, Tokens};
pub use source::{RawBadRow, RawSource};
pub use tokenized::RawTokenized;
pub use tokenizer::RawTokenizer;

use super::checked::{OnExhausted, Packing};

object! {
    /// A training curriculum: what each phase of a training run reads, from which sources, in which proportions.
    RawCurriculum, "a curriculum: a mapping with the keys `syllabus`, `name`, `tokenizer`, `sources` and `phases`" {
        /// Version of this format: 1.
        required syllabus: Count,
        /// Name of the dataset.
        required name: Text,
        /// Seed of every permutation; 0 unless said.
        optional seed: Count,
        /// The tokenizer, and which of its tokens frame a document.
        required tokenizer: RawTokenizer,
        /// Trained positions in a window (S), for example 4096; a phase may say otherwise.
        optional sequence_length: Count,
        /// Whether a window stores one token more than it trains (S + 1), so that inputs and labels come from one window; true unless said.
        optional label_token: Flag,
        /// How documents become windows; `concat` unless said, and a phase may say otherwise.
        optional packing: Packing,
        /// Target size of a shard in bytes, for example 1GiB (the default); a phase may say otherwise.
        optional shard_size: Size,
        /// What happens when a source's permitted epochs are used up; `error` unless said.
        optional on_exhausted: OnExhausted,
        /// Which duplicates are dropped: exact ones unless said, near ones only when asked for.
        optional dedup: RawDedup,
        /// Benchmarks whose items must not be in the training data.
        optional decontaminate: RawDecontaminate,
        /// Documents kept for validation: one named set.
        optional holdout: Named<RawHoldout>,
        /// Where documents come from, by name.
        required sources: Named<RawSource>,
        /// Mixes, by name, for phases to use.
        optional mixes: Named<RawMix>,
        /// The phases in training order.
        required phases: Vec<Item<RawPhase>>,
    }
}

words! {
    Packing, "Packing", "how documents become windows: `concat` joins them to one line of tokens and cuts it; `best_fit` keeps them whole where they fit, and pads" {
        "concat" => Packing::Concat,
        "best_fit" => Packing::BestFit,
    }
}

words! {
    OnExhausted, "OnExhausted", "what happens when a source's permitted epochs are used up: `error` refuses and shows a feasible patch, `repeat` starts another epoch" {
        "error" => OnExhausted::Error,
        "repeat" => OnExhausted::Repeat,
    }
}
