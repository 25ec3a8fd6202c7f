//! `dedup:`, `decontaminate:` and `holdout:`.

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::{One, Zero};

use super::Check;
use crate::curriculum::checked::{Decontaminate, Dedup, Holdout, Near};
use crate::curriculum::diagnostics::Diagnostic;
use crate::curriculum::names::{self, Meaning};
use crate::curriculum::raw::{
    RawCoverage, RawCurriculum, RawDecontaminate, RawDedup, RawMaxRemoved, RawNear, Share, Slot,
};

/// Largest number of bands times rows: the values of a signature.
const MAX_SIGNATURE: u32 = 128;

pub(super) fn dedup(raw: &RawDedup, check: &mut Check<'_>) -> Dedup {
    Dedup {
        exact: raw.exact.value().is_none_or(|flag| flag.0),
        near: raw.near.given().map(|raw| near(&raw.value, check)),
    }
}

/// A share above zero.
fn positive(slot: &Slot<Share>, what: &str, check: &mut Check<'_>) -> Option<BigRational> {
    let item = slot.given()?;
    if item.value.0.is_zero() {
        check.error(&item.at, format!("{what} is above 0"));
        return None;
    }
    Some(item.value.0.clone())
}

fn near(raw: &RawNear, check: &mut Check<'_>) -> Near {
    let jaccard =
        positive(&raw.jaccard, "the similarity", check).unwrap_or_else(|| BigRational::new(4.into(), 5.into()));
    let shingle = check.bounded(&raw.shingle, "the number of words in an n-gram", 1, 1_000).unwrap_or(5);
    let bands = check.bounded(&raw.bands, "the number of bands", 1, u64::from(MAX_SIGNATURE));
    let rows = check.bounded(&raw.rows, "the number of rows", 1, u64::from(MAX_SIGNATURE));
    let bands_rows = match (bands, rows) {
        (Some(bands), Some(rows)) => {
            if bands.saturating_mul(rows) > MAX_SIGNATURE
                && let Some(at) = raw.bands.given()
            {
                check.error(
                    &at.at,
                    format!("bands times rows is at most {MAX_SIGNATURE}, not {}", u64::from(bands) * u64::from(rows)),
                );
            }
            Some((bands, rows))
        }
        _ => None,
    };
    for (given, other, missing) in [(&raw.bands, &raw.rows, "rows"), (&raw.rows, &raw.bands, "bands")] {
        if let Some(given) = given.given()
            && other.is_absent()
        {
            check.push(
                Diagnostic::error(
                    given.at.clone(),
                    format!("`{missing}` is missing: bands and rows are given together"),
                )
                .hint("give both, or none: they then follow from `jaccard`"),
            );
        }
    }
    let mut max_removed = None;
    let mut max_removed_of = BTreeMap::new();
    match raw.max_removed.value() {
        None => {}
        Some(RawMaxRemoved::All(share)) => max_removed = Some(share.0.clone()),
        Some(RawMaxRemoved::Of(shares)) => {
            for entry in &shares.entries {
                match check.names.get(&entry.name) {
                    Some(Meaning::Source(source)) => {
                        if let Some(share) = entry.value.value() {
                            max_removed_of.insert(*source, share.0.clone());
                        }
                    }
                    _ => {
                        let hint = names::suggestion(&entry.name, check.names.sources());
                        check.push(
                            Diagnostic::error(entry.name_at.clone(), format!("no source is named `{}`", entry.name))
                                .maybe_hint(hint),
                        );
                    }
                }
            }
        }
    }
    Near {
        jaccard,
        shingle,
        bands_rows,
        scope: raw.scope.value().copied().unwrap_or_default(),
        max_removed,
        max_removed_of,
    }
}

pub(super) fn decontaminate(raw: &RawDecontaminate, check: &mut Check<'_>) -> Option<Decontaminate> {
    let ngram = check.bounded(&raw.ngram, "the number of words in an n-gram", 1, 1_000).unwrap_or(13);
    let coverage = match raw.coverage.given() {
        None => Some(BigRational::new(1.into(), 2.into())),
        Some(item) => match &item.value {
            RawCoverage::Any => None,
            RawCoverage::Share(share) => {
                if share.0.is_zero() {
                    check.push(
                        Diagnostic::error(item.at.clone(), "the coverage is above 0")
                            .hint("write `any` when one n-gram suffices"),
                    );
                }
                Some(share.0.clone())
            }
        },
    };
    super::patterns(raw.files.value(), check);
    let texts = |list: &crate::curriculum::raw::OneOrMany| list.items.iter().map(|item| item.value.clone()).collect();
    Some(Decontaminate {
        files: texts(raw.files.value()?),
        fields: raw.fields.value().map_or_else(|| vec!["text".to_owned()], texts),
        ngram,
        coverage,
    })
}

pub(super) fn holdout(raw: &RawCurriculum, check: &mut Check<'_>) -> Option<Holdout> {
    let holdout = raw.holdout.given()?;
    let mut entries = holdout.value.entries.iter();
    let Some(entry) = entries.next() else {
        check.push(
            Diagnostic::error(holdout.at.clone(), "this holdout holds nothing")
                .hint("write, for example, `holdout: {validation: {share: 0.01%}}`"),
        );
        return None;
    };
    for more in entries {
        check.push(
            Diagnostic::error(more.name_at.clone(), "one set can be held out, and this is the second")
                .also(entry.name_at.clone(), "the first"),
        );
    }
    names::check(&entry.name, "holdout", &entry.name_at, check.out);
    if super::phases::is_output_file(&entry.name) {
        check.error(
            &entry.name_at,
            format!("`{}` is a file of the dataset: the holdout becomes a folder beside it", entry.name),
        );
    }
    let set = entry.value.value()?;
    let share = positive(&set.share, "the share held out", check)?;
    if share.is_one()
        && let Some(at) = set.share.given()
    {
        check.error(&at.at, "nothing would be left for training");
    }
    if let Some(most) = set.max_tokens_per_source.given()
        && most.value.0 == 0
    {
        check.error(&most.at, "nothing would be held out");
    }
    Some(Holdout {
        name: entry.name.clone(),
        share,
        max_tokens_per_source: set.max_tokens_per_source.value().map(|tokens| tokens.0),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn bands_and_rows_fit_a_signature() {
        let values = usize::try_from(super::MAX_SIGNATURE).unwrap();
        assert_eq!(values, crate::dedup::near::signature::VALUES);
    }
}
