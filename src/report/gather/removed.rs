//! `removed.parquet` summed up: by reason, by where the copy stayed, by similarity; and a few examples.

use std::collections::BTreeMap;
use std::path::Path;

use super::buckets::{Counted, buckets};
use super::frames::Running;
use crate::error::Result;
use crate::report::model::{Evidence, Example, Pair, Removals, SimilarityBucket};
use crate::verify::removed::for_each;

/// Examples of each source and reason.
const EXAMPLES: u64 = 3;
/// Buckets of similarity from 0 to 1.
const STEPS: usize = 40;
/// Keys of kept documents held at a time, at most; beyond, only those under a share are counted into clusters.
const MOST_KEYS: usize = 1 << 20;

const REASONS: [&str; 4] = ["contaminated", "exact", "near", "near_validation"];

/// Reads the file of the dataset in `dir`; sources by their place in `names`.
pub(super) fn evidence(dir: &Path, names: &[String]) -> Result<Evidence> {
    let none = names.len() as u64;
    let index = |name: &str| names.iter().position(|known| known == name).map_or(none, |index| index as u64);
    let mut sums = Running::new(&["source", "reason", "kept_in"], &["documents"]);
    let mut examples: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut found = Evidence::default();
    let mut similar = vec![0_u64; STEPS];
    let mut exact = Counted::new();
    // The rows are sorted by document, so copies of one text follow each other.
    let mut copies: Option<(u128, u64)> = None;
    let mut near = Clusters::default();
    let mut failed = None;
    for_each(&dir.join("removed.parquet"), |row| {
        let reason = REASONS.iter().position(|reason| *reason == row.reason).map_or(9, |reason| reason as u64);
        let source = index(&row.source);
        let kept_in = row.detail.as_deref().and_then(|detail| detail.strip_prefix("kept in ")).map_or(none, index);
        if let Err(error) = sums.push(&[source, reason, kept_in, 1]) {
            failed.get_or_insert(error);
        }
        match row.reason.as_str() {
            "exact" => {
                let document = u128::from(row.document);
                match &mut copies {
                    Some((of, count)) if *of == document => *count += 1,
                    _ => {
                        if let Some((_, count)) = copies.replace((document, 1)) {
                            *exact.entry(count + 1).or_default() += 1;
                        }
                    }
                }
            }
            "near" => {
                if let Some(kept) = row.kept {
                    near.push(kept.into());
                }
                if let Some(bucket) = row.similarity.and_then(|similarity| similar.get_mut(step(similarity))) {
                    *bucket += 1;
                }
            }
            _ => {}
        }
        let shown = examples.entry((source, reason)).or_default();
        if *shown < EXAMPLES {
            *shown += 1;
            found.examples.push(Example {
                document: row.document.to_string(),
                source: row.source,
                reason: row.reason,
                kept: row.kept.map(|key| key.to_string()),
                similarity: row.similarity,
                detail: row.detail,
            });
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    if let Some((_, count)) = copies {
        *exact.entry(count + 1).or_default() += 1;
    }
    found.exact_clusters = buckets(&exact);
    (found.near_clusters, found.cluster_sample) = near.finish();
    found.similarity = similarity(&similar);
    let reason = |index: u64| {
        usize::try_from(index).ok().and_then(|index| REASONS.get(index)).map_or("other", |reason| reason).to_owned()
    };
    let name = |index: u64| usize::try_from(index).ok().and_then(|index| names.get(index)).cloned();
    for row in sums.finish()? {
        let [source, of, kept_in, documents] = row[..] else { continue };
        let Some(source) = name(source) else { continue };
        match found.removals.last_mut() {
            Some(last) if last.source == source && last.reason == reason(of) => last.documents += documents,
            _ => found.removals.push(Removals { source: source.clone(), reason: reason(of), documents }),
        }
        if let Some(kept_in) = name(kept_in) {
            found.pairs.push(Pair { source, kept_in, reason: reason(of), documents });
        }
    }
    let order = |example: &Example| (index(&example.source), example.reason.clone(), example.document.clone());
    found.examples.sort_by_key(order);
    Ok(found)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a similarity from 0 to 1 names one of a few buckets"
)]
fn step(similarity: f64) -> usize {
    // A hair above, so that 0.8 lies in the bucket that begins at 0.8.
    let place = similarity.clamp(0.0, 1.0).mul_add(STEPS as f64, 1e-9);
    (place as usize).min(STEPS - 1)
}

/// Without empty buckets before the first.
fn similarity(counts: &[u64]) -> Vec<SimilarityBucket> {
    let border = |step: usize| step as f64 / STEPS as f64;
    let all = counts.iter().enumerate().map(|(step, count)| SimilarityBucket {
        from: border(step),
        to: border(step + 1),
        count: *count,
    });
    all.skip_while(|bucket| bucket.count == 0).collect()
}

/// How often each kept document occurs, of those under a share of all keys where there are very many.
#[derive(Default)]
struct Clusters {
    keys: Vec<u128>,
    shift: u32,
}

impl Clusters {
    fn under(&self, key: u128) -> bool {
        key <= u128::MAX >> self.shift
    }

    fn push(&mut self, key: u128) {
        if self.under(key) {
            self.keys.push(key);
        }
        while self.keys.len() > MOST_KEYS && self.shift < 64 {
            self.shift += 1;
            let limit = u128::MAX >> self.shift;
            self.keys.retain(|key| *key <= limit);
        }
    }

    /// Sizes of the clusters, and the part of them that was looked at.
    fn finish(mut self) -> (Vec<crate::report::model::Bucket>, f64) {
        self.keys.sort_unstable();
        let mut sizes = Counted::new();
        for cluster in self.keys.chunk_by(|a, b| a == b) {
            *sizes.entry(cluster.len() as u64 + 1).or_default() += 1;
        }
        (buckets(&sizes), 0.5_f64.powi(i32::try_from(self.shift).unwrap_or(64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarities_fall_into_the_bucket_that_begins_with_them() {
        for (similarity, place) in [(0.0, 0), (0.8, 32), (0.799_999, 31), (0.825, 33), (1.0, 39), (7.0, 39)] {
            assert_eq!(step(similarity), place, "{similarity}");
        }
    }

    #[test]
    fn very_many_clusters_are_sampled_by_key() {
        let mut clusters = Clusters::default();
        let keys =
            (0..(MOST_KEYS as u128 + 1000) * 2).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        keys.for_each(|key| clusters.push(key));
        let (sizes, sample) = clusters.finish();
        assert!(sample <= 0.5 && sizes.len() == 1 && sizes[0].from == 2, "{sizes:?} of {sample}");
    }
}
