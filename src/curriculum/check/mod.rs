//! Raw → checked: names get their meaning, numbers their range, defaults their place. Pure; gathers all errors of a run.

mod duplicates;
mod mixes;
mod phases;
mod sources;
mod template;
mod tokenized;

use super::checked::{Bos, Curriculum, Dedup, TokenizerSpec};
use super::diagnostics::{self, Diagnostic, Diagnostics, Span};
use super::names::{self, Names};
use super::raw::{Count, Item, OneOrMany, RawCurriculum, RawTokenizer, Slot};

/// Target size of a shard unless said: 1 GiB.
const SHARD_BYTES: u64 = 1 << 30;

/// Longest window.
const MAX_SEQUENCE_LENGTH: u64 = 1 << 24;

/// What the checks share.
struct Check<'a> {
    /// The curriculum's text, for places inside scalars.
    text: &'a str,
    /// What is wrong so far.
    out: &'a mut Diagnostics,
    /// Names of sources and groups.
    names: Names,
}

impl Check<'_> {
    fn error(&mut self, at: &Span, message: impl Into<String>) {
        self.out.push(Diagnostic::error(at.clone(), message));
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.out.push(diagnostic);
    }

    /// The place of a part of a scalar.
    fn inside(&self, scalar: &Item<String>, range: &std::ops::Range<usize>) -> Span {
        diagnostics::inside(self.text, &scalar.at, &scalar.value, range)
    }

    /// A count within bounds, as a `u32`.
    fn bounded(&mut self, slot: &Slot<Count>, what: &str, least: u64, most: u64) -> Option<u32> {
        let item = slot.given()?;
        let value = item.value.0;
        if value < least || value > most {
            self.error(&item.at, format!("{what} is from {least} to {most}, not {value}"));
            return None;
        }
        u32::try_from(value).ok()
    }
}

/// Checks a raw curriculum. `None` when `out` got an error.
pub fn check(raw: &RawCurriculum, text: &str, out: &mut Diagnostics) -> Option<Curriculum> {
    let mut check = Check { text, out, names: Names::default() };
    if let Some(version) = raw.syllabus.given()
        && version.value.0 != 1
    {
        check.push(
            Diagnostic::error(version.at.clone(), format!("version {} of the format is not known", version.value.0))
                .hint("this Syllabus reads `syllabus: 1`"),
        );
    }
    if let Some(name) = raw.name.given() {
        names::check(&name.value.0, "dataset", &name.at, check.out);
    }
    let tokenizer = raw.tokenizer.value().map(|raw| tokenizer(raw, &mut check));
    let sources = sources::check(raw, &mut check);
    let sequence_length = check.bounded(&raw.sequence_length, "the sequence length", 1, MAX_SEQUENCE_LENGTH);
    let shard_bytes = shard_size(&raw.shard_size, &mut check);
    let holdout = duplicates::holdout(raw, &mut check);
    let dedup = raw.dedup.value().map(|raw| duplicates::dedup(raw, &mut check));
    let decontaminate = raw.decontaminate.value().and_then(|raw| duplicates::decontaminate(raw, &mut check));
    let defaults = phases::Defaults {
        sequence_length,
        unsaid: raw.sequence_length.is_absent(),
        packing: raw.packing.value().copied().unwrap_or_default(),
        shard_bytes: shard_bytes.unwrap_or(SHARD_BYTES),
    };
    let phases = phases::check(raw, &sources, &defaults, &mut check);
    if check.out.has_errors() {
        return None;
    }
    Some(Curriculum {
        name: raw.name.value()?.0.clone(),
        seed: raw.seed.value().map_or(0, |seed| seed.0),
        tokenizer: tokenizer?,
        // Where every phase says its own, the first one's stands for the curriculum's.
        sequence_length: sequence_length.or_else(|| phases.first().map(|phase| phase.sequence_length))?,
        label_token: raw.label_token.value().is_none_or(|flag| flag.0),
        packing: defaults.packing,
        shard_bytes: defaults.shard_bytes,
        dedup: dedup.unwrap_or(Dedup { exact: true, near: None }),
        decontaminate,
        holdout,
        on_exhausted: raw.on_exhausted.value().copied().unwrap_or_default(),
        sources,
        phases,
        warnings: Vec::new(),
    })
}

fn shard_size(slot: &Slot<super::raw::Size>, check: &mut Check<'_>) -> Option<u64> {
    let size = slot.given()?;
    if size.value.0 == 0 {
        check.error(&size.at, "a shard holds at least a byte");
    }
    Some(size.value.0)
}

/// Checks the spelling of file patterns.
fn patterns(list: Option<&OneOrMany>, check: &mut Check<'_>) {
    for item in list.map_or(&[][..], |list| &list.items) {
        if let Err(error) = glob::Pattern::new(&item.value) {
            let start = item.value.char_indices().nth(error.pos).map_or(item.value.len(), |(at, _)| at);
            let at = check.inside(item, &(start..item.value.len()));
            check.push(
                Diagnostic::error(at, format!("not a file pattern: {}", error.msg))
                    .hint("`*` and `?` match within a name, `[a-z]` one of several characters, `**` between slashes any folders; `[[]` is a plain bracket"),
            );
        } else if item.value.contains('\0') {
            check.error(&item.at, "a path cannot hold a null character");
        }
    }
}

fn tokenizer(raw: &RawTokenizer, check: &mut Check<'_>) -> TokenizerSpec {
    let token = |slot: &Slot<super::raw::Text>| match slot.value() {
        Some(text) if text.0 == "none" => None,
        Some(text) => Some(text.0.clone()),
        None => None,
    };
    let bos = match (&raw.bos, token(&raw.bos)) {
        (Slot::Absent, _) => Bos::Unsaid,
        (_, Some(token)) => Bos::Token(token),
        (_, None) => Bos::None,
    };
    if let Some(pad) = raw.pad.given()
        && pad.value.0 == "none"
    {
        check.push(
            Diagnostic::error(pad.at.clone(), "padding needs a token")
                .hint("name one, or remove the key: the `eos` then pads"),
        );
    }
    let mut special: Vec<String> = Vec::new();
    for item in raw.special.value().map_or(&[][..], |list| &list.items) {
        if special.contains(&item.value) {
            check.error(&item.at, format!("`{}` is listed twice", item.value));
        }
        special.push(item.value.clone());
    }
    TokenizerSpec {
        file: raw.file.value().map(|file| file.0.clone()).unwrap_or_default(),
        bos,
        eos: token(&raw.eos),
        pad: token(&raw.pad),
        special,
        backend: raw.backend.value().copied().unwrap_or_default(),
    }
}
