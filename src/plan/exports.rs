//! Which trainers the curriculum's windows can be handed to, and why not the others.

use serde::{Deserialize, Serialize};
use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::manifest::Manifest;

use crate::curriculum::checked::{Curriculum, Packing};

use super::Plan;

/// A form in which `syllabus export` may hand a dataset on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    /// What follows `--for`.
    pub name: &'static str,
    /// Trainers that read it.
    pub trainers: &'static str,
    /// Whether this curriculum can be exported so.
    pub allowed: bool,
    /// What the trainer does with the curriculum's order.
    pub order: Order,
    /// Why not, or what to know when it is allowed.
    pub note: Option<String>,
}

/// What a trainer does with the order of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Reads windows in the curriculum's order.
    Kept,
    /// Keeps it when its own shuffling is off.
    KeptUnshuffled,
    /// Shuffles.
    Shuffled,
    /// Starts reading at random places.
    Sampled,
}

/// All exports, in the order of the documentation. `vocab_size` where the tokenizer was read.
#[must_use]
pub fn exports(curriculum: &Curriculum, plan: &Plan, dtype: TokenDtype, vocab_size: Option<u32>) -> Vec<Export> {
    Facts::of_plan(curriculum, plan, dtype, vocab_size).exports()
}

/// What decides which exports there are.
#[derive(Debug)]
pub struct Facts {
    label_token: bool,
    eos: bool,
    padded: bool,
    one_length: bool,
    dtype: TokenDtype,
    vocab_size: Option<u32>,
}

const NO_LABEL: &str = "needs windows of S + 1 tokens; this curriculum has `label_token: false`";
const LABEL: &str = "needs windows of S tokens: `label_token: false`";
const PADDING: &str = "has no loss mask: padding would be trained on";

impl Facts {
    /// Of a curriculum that is planned.
    #[must_use]
    pub fn of_plan(curriculum: &Curriculum, plan: &Plan, dtype: TokenDtype, vocab_size: Option<u32>) -> Self {
        Self {
            label_token: curriculum.label_token,
            eos: curriculum.tokenizer.eos.is_some(),
            padded: plan.phases.iter().any(|phase| phase.packing == Packing::BestFit),
            one_length: all_equal(plan.phases.iter().map(|phase| phase.sequence_length)),
            dtype,
            vocab_size,
        }
    }

    /// Of a dataset; `padded` when windows of its phases have padding.
    #[must_use]
    pub fn of_manifest(manifest: &Manifest, padded: bool) -> Self {
        Self {
            label_token: manifest.phases.iter().all(|phase| phase.window_tokens > phase.sequence_length),
            eos: manifest.tokenizer.eos_id.is_some(),
            padded,
            one_length: all_equal(manifest.phases.iter().map(|phase| phase.sequence_length)),
            dtype: manifest.token_dtype,
            vocab_size: Some(manifest.tokenizer.vocab_size),
        }
    }

    /// All exports, in the order of the documentation.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        vec![
            self.megatron(),
            self.megatron_exact(),
            self.olmo(),
            self.datatrove(),
            self.nanogpt(),
            self.llmc(),
            self.automodel(),
        ]
    }

    fn export(
        name: &'static str,
        trainers: &'static str,
        order: Order,
        reasons: &[(bool, &str)],
        notes: &[(bool, &str)],
    ) -> Export {
        let join = |list: &[(bool, &str)]| {
            let texts: Vec<&str> = list.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        };
        let reason = join(reasons);
        let allowed = reason.is_none();
        Export { name, trainers, allowed, order, note: reason.or_else(|| join(notes)) }
    }

    fn megatron(&self) -> Export {
        let odd = self.vocab_size.is_some_and(|size| (65_500..65_536).contains(&size));
        let odd_note = "some versions guess u16 for a vocabulary of 65,500 to 65,535: set the dtype yourself";
        Self::export("megatron", "Megatron-LM, NeMo, Megatron-DeepSpeed", Order::Shuffled, &[], &[(odd, odd_note)])
    }

    fn megatron_exact(&self) -> Export {
        Self::export(
            "megatron-exact",
            "Megatron GPTDataset, replayed",
            Order::Kept,
            &[(!self.label_token, NO_LABEL)],
            &[(!self.one_length, "phases differ in S: one prefix for each length")],
        )
    }

    fn olmo(&self) -> Export {
        Self::export(
            "olmo",
            "OLMo-core NumpyFSLDataset",
            Order::KeptUnshuffled,
            &[(self.label_token, LABEL), (!self.eos, "finds documents by their EOS; this curriculum has `eos: none`")],
            &[(!self.one_length, "phases differ in S: one data set for each length"), (self.padded, PADDING)],
        )
    }

    fn datatrove(&self) -> Export {
        Self::export(
            "datatrove",
            "datatrove, nanotron",
            Order::KeptUnshuffled,
            &[(!self.label_token, NO_LABEL)],
            &[
                (true, "nanotron's Nanoset shuffles, datatrove's own datasets do not"),
                (!self.one_length, "phases differ in S: one data stage for each length"),
                (self.padded, PADDING),
            ],
        )
    }

    fn nanogpt(&self) -> Export {
        Self::export(
            "nanogpt",
            "nanoGPT",
            Order::Sampled,
            &[(self.dtype != TokenDtype::U16, "reads u16 tokens only; this vocabulary needs u32")],
            &[(self.padded, PADDING)],
        )
    }

    fn llmc(&self) -> Export {
        Self::export("llmc", "llm.c", Order::KeptUnshuffled, &[], &self.headed())
    }

    fn automodel(&self) -> Export {
        Self::export("automodel", "NeMo Automodel", Order::KeptUnshuffled, &[], &self.headed())
    }

    fn headed(&self) -> [(bool, &'static str); 2] {
        [
            (self.label_token, "rows are cut every S tokens, so they drift across windows of S + 1"),
            (self.padded, PADDING),
        ]
    }
}

fn all_equal(mut lengths: impl Iterator<Item = u32>) -> bool {
    let first = lengths.next();
    lengths.all(|length| Some(length) == first)
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use num_traits::One;

    use super::*;
    use crate::plan::fixture::arctic;
    use crate::plan::{declared_sizes, draft};

    fn allowed(change: impl Fn(&mut Curriculum), dtype: TokenDtype) -> String {
        let mut curriculum = arctic();
        change(&mut curriculum);
        let sizes = declared_sizes(&curriculum).unwrap();
        let plan = draft(&curriculum, &sizes, &BigRational::one(), dtype.width()).unwrap();
        let list = exports(&curriculum, &plan, dtype, Some(65_510));
        assert!(list.iter().all(|export| export.allowed || export.note.is_some()));
        list.iter().filter(|export| export.allowed).map(|export| export.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn windows_and_tokens_decide() {
        assert_eq!(allowed(|_| (), TokenDtype::U16), "megatron megatron-exact datatrove nanogpt llmc automodel");
        assert_eq!(allowed(|_| (), TokenDtype::U32), "megatron megatron-exact datatrove llmc automodel");
        let without_label = |curriculum: &mut Curriculum| curriculum.label_token = false;
        assert_eq!(allowed(without_label, TokenDtype::U16), "megatron olmo nanogpt llmc automodel");
        let without_eos = |curriculum: &mut Curriculum| {
            curriculum.label_token = false;
            curriculum.tokenizer.eos = None;
        };
        assert_eq!(allowed(without_eos, TokenDtype::U16), "megatron nanogpt llmc automodel");
    }

    #[test]
    fn what_is_allowed_may_still_need_a_word() {
        let mut curriculum = arctic();
        curriculum.phases[2].packing = Packing::BestFit;
        curriculum.phases[2].sequence_length = 8192;
        let sizes = declared_sizes(&curriculum).unwrap();
        let plan = draft(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
        let list = exports(&curriculum, &plan, TokenDtype::U16, Some(65_510));
        let note =
            |name: &str| list.iter().find(|export| export.name == name).unwrap().note.clone().unwrap_or_default();
        assert!(note("megatron").contains("guess u16"));
        assert!(note("megatron-exact").contains("one prefix for each length"));
        assert!(note("datatrove").contains("padding would be trained on"));
    }
}
