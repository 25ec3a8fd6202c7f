//! `sources:`: names and groups, templates, conditions, bounds, copies.

use std::collections::BTreeMap;

use super::{Check, template, tokenized};
use crate::curriculum::checked::{OnBadRow, Source, SourceId, TemplatePiece, TextRule, TextTemplate};
use crate::curriculum::diagnostics::{Diagnostic, Span};
use crate::curriculum::filter::Filter;
use crate::curriculum::names::{self, Meaning};
use crate::curriculum::raw::{Count, Item, RawBadRow, RawCurriculum, RawSource, Size, Slot, Text};
use crate::curriculum::units;

/// A row whose text is longer is a bad row, unless said: 64 MiB.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Checks all sources; names of sources and groups are known afterwards.
pub(super) fn check(raw: &RawCurriculum, check: &mut Check<'_>) -> Vec<Source> {
    let Some(sources) = raw.sources.given() else { return Vec::new() };
    if sources.value.entries.is_empty() {
        check.error(&sources.at, "there are no sources");
    }
    let mut folders: BTreeMap<String, (&str, &Span)> = BTreeMap::new();
    for (id, entry) in sources.value.entries.iter().enumerate() {
        names::check(&entry.name, "source", &entry.name_at, check.out);
        check.names.add_source(&entry.name, id);
        if let Some((other, at)) = folders.insert(entry.name.to_lowercase(), (&entry.name, &entry.name_at)) {
            check.push(
                Diagnostic::error(entry.name_at.clone(), format!("`{}` and `{other}` differ only in case", entry.name))
                    .also(at.clone(), "the other one")
                    .hint("both become folders, and some file systems do not tell them apart"),
            );
        }
    }
    for (id, entry) in sources.value.entries.iter().enumerate() {
        let Some(group) = entry.value.value().and_then(|source| source.group.given()) else { continue };
        names::check(&group.value.0, "group", &group.at, check.out);
        if !check.names.add_to_group(&group.value.0, id) {
            let source = sources.value.entries.iter().find(|source| source.name == group.value.0);
            let mut error = Diagnostic::error(
                group.at.clone(),
                format!("`{}` is the name of a source, so no group can have it", group.value.0),
            )
            .hint("sources and groups share one namespace: rename one of them");
            if let Some(source) = source {
                error = error.also(source.name_at.clone(), "the source");
            }
            check.push(error);
        }
    }
    let checked: Vec<Source> = sources
        .value
        .entries
        .iter()
        .enumerate()
        .map(|(id, entry)| match entry.value.value() {
            Some(source) => one(id, &entry.name, source, check),
            None => placeholder(&entry.name),
        })
        .collect();
    cycles(&checked, raw, check);
    checked
}

/// What stands for a source that could not be read, so that ids stay what they are.
fn placeholder(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        group: None,
        files: Vec::new(),
        text: TextTemplate { pieces: vec![TemplatePiece::Column("text".to_owned())] },
        tokenized: None,
        tokens: None,
        max_epochs: None,
        filter: None,
        rules: Vec::new(),
        on_bad_row: OnBadRow::Error,
        max_document_bytes: MAX_DOCUMENT_BYTES,
        copies_of: None,
        priority: 0,
        exempt: false,
    }
}

fn one(id: SourceId, name: &str, raw: &RawSource, check: &mut Check<'_>) -> Source {
    let mut source = placeholder(name);
    source.group = raw.group.value().map(|group| group.0.clone());
    super::patterns(raw.files.value(), check);
    source.files =
        raw.files.value().map_or_else(Vec::new, |files| files.items.iter().map(|file| file.value.clone()).collect());
    if let Some(text) = scalar(&raw.text) {
        match template::parse(&text.value) {
            Ok(template) => source.text = template,
            Err(error) => {
                let at = check.inside(&text, &error.span);
                check.push(Diagnostic::error(at, error.message).hint(error.hint));
            }
        }
    }
    source.tokenized = tokenized::check(raw, check);
    if let Some(tokens) = raw.tokens.given() {
        if tokens.value.0 == 0 {
            check.push(
                Diagnostic::error(tokens.at.clone(), "a source of no tokens cannot be read")
                    .hint("remove the key when the size is not known"),
            );
        }
        source.tokens = Some(tokens.value.0);
    }
    source.max_epochs = check.bounded(&raw.max_epochs, "max_epochs", 1, u64::from(units::MAX_EPOCHS));
    if let Some(condition) = scalar(&raw.r#where) {
        match Filter::parse(&condition.value) {
            Ok(filter) => source.filter = Some(filter),
            Err(error) => {
                let at = check.inside(&condition, &error.span);
                check.push(Diagnostic::error(at, format!("condition: {}", error.message)).maybe_hint(error.hint));
            }
        }
    }
    if let Some(limit) = raw.max_document_bytes.given() {
        if limit.value.0 == 0 || limit.value.0 > u64::from(u32::MAX) {
            check.error(&limit.at, "the longest document is from 1 byte to just under 4GiB");
        }
        source.max_document_bytes = limit.value.0;
    }
    source.rules = rules(raw, source.max_document_bytes, check);
    source.on_bad_row = match raw.on_bad_row.value() {
        None | Some(RawBadRow::Error) => OnBadRow::Error,
        Some(RawBadRow::Count) => OnBadRow::Count { limit: None },
        Some(RawBadRow::Limited(limit)) => OnBadRow::Count { limit: limit.value().map(|limit| limit.0) },
    };
    source.copies_of = raw.copies_of.given().and_then(|parent| parent_of(id, parent, check));
    source.priority = raw.priority.value().map_or(0, |priority| priority.0);
    source.exempt = raw.exempt.value().is_some_and(|exempt| exempt.0);
    source
}

/// A text slot as an item of its string.
fn scalar(slot: &Slot<Text>) -> Option<Item<String>> {
    slot.given().map(|item| Item { at: item.at.clone(), value: item.value.0.clone() })
}

fn rules(raw: &RawSource, max_document_bytes: u64, check: &mut Check<'_>) -> Vec<TextRule> {
    fn bounds<T>(
        (low, low_key): (&Slot<T>, &str),
        (high, high_key): (&Slot<T>, &str),
        number: impl Fn(&T) -> u64,
        check: &mut Check<'_>,
    ) {
        if let (Some(low), Some(high)) = (low.given(), high.given())
            && number(&low.value) > number(&high.value)
        {
            check.push(
                Diagnostic::error(
                    high.at.clone(),
                    format!("`{high_key}` is less than `{low_key}`: no text would pass"),
                )
                .also(low.at.clone(), low_key),
            );
        }
    }
    let size = |size: &Size| size.0;
    let count = |count: &Count| count.0;
    bounds((&raw.min_bytes, "min_bytes"), (&raw.max_bytes, "max_bytes"), size, check);
    bounds((&raw.min_chars, "min_chars"), (&raw.max_chars, "max_chars"), count, check);
    if let Some(least) = raw.min_bytes.given()
        && least.value.0 > max_document_bytes
    {
        check.push(
            Diagnostic::error(
                least.at.clone(),
                format!("no text would pass: documents of more than {max_document_bytes} bytes are bad rows"),
            )
            .hint("raise `max_document_bytes` of this source"),
        );
    }
    // Always in this order, so that the rule that is named does not depend on how the keys are written.
    [
        raw.min_bytes.value().map(|bytes| TextRule::MinBytes(bytes.0)),
        raw.max_bytes.value().map(|bytes| TextRule::MaxBytes(bytes.0)),
        raw.min_chars.value().map(|chars| TextRule::MinChars(chars.0)),
        raw.max_chars.value().map(|chars| TextRule::MaxChars(chars.0)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn parent_of(id: SourceId, parent: &Item<Text>, check: &mut Check<'_>) -> Option<SourceId> {
    let name = &parent.value.0;
    match check.names.get(name).cloned() {
        Some(Meaning::Source(source)) if source == id => {
            check.error(&parent.at, format!("`{name}` cannot be a copy of itself"));
            None
        }
        Some(Meaning::Source(source)) => Some(source),
        Some(Meaning::Group(_)) => {
            check.push(
                Diagnostic::error(parent.at.clone(), format!("`{name}` is a group"))
                    .hint("`copies_of` names one source"),
            );
            None
        }
        None => {
            let hint = names::suggestion(name, check.names.sources());
            check.push(Diagnostic::error(parent.at.clone(), format!("no source is named `{name}`")).maybe_hint(hint));
            None
        }
    }
}

/// Sources that are, through others, copies of themselves; each cycle is told once.
fn cycles(sources: &[Source], raw: &RawCurriculum, check: &mut Check<'_>) {
    let entries = raw.sources.value().map_or(&[][..], |sources| &sources.entries);
    let mut told = vec![false; sources.len()];
    for start in 0..sources.len() {
        let mut path = vec![start];
        let mut next = sources.get(start).and_then(|source| source.copies_of);
        while let Some(id) = next {
            if id == start || path.contains(&id) {
                break;
            }
            path.push(id);
            next = sources.get(id).and_then(|source| source.copies_of);
        }
        // Only the source where the walk comes back to its start is on the cycle.
        if next != Some(start) || path.iter().any(|id| told.get(*id) == Some(&true)) {
            continue;
        }
        for id in &path {
            if let Some(told) = told.get_mut(*id) {
                *told = true;
            }
        }
        let names: Vec<&str> =
            path.iter().chain([&start]).filter_map(|id| sources.get(*id).map(|source| source.name.as_str())).collect();
        if let Some(at) =
            entries.get(start).and_then(|entry| entry.value.value()).and_then(|source| source.copies_of.given())
        {
            check.push(
                Diagnostic::error(at.at.clone(), format!("copies in a circle: {}", names.join(" → ")))
                    .hint("a declared subset has a parent that is not a subset of it"),
            );
        }
    }
}
