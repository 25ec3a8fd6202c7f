//! Held-out documents: chosen by a hash of their key, so that the set is the same for any seed, mix and more data.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive};
use xxhash_rust::xxh3::xxh3_64;

use crate::curriculum::checked::{Holdout, Source};
use crate::error::Result;
use crate::store::documents::SourceStore;
use crate::store::fates::Fate;

/// Where a document stands in the order of the held-out set: XXH3-64 of `holdout`, NUL, the set's name, NUL, and the key
/// (little-endian). Documents below the share's threshold are held out, smallest first.
#[must_use]
pub fn draw(name: &str, key: u128) -> u64 {
    let mut bytes = Vec::with_capacity(32 + name.len());
    bytes.extend_from_slice(b"holdout\0");
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&key.to_le_bytes());
    xxh3_64(&bytes)
}

/// The number below which a 64-bit draw falls with probability `share`; `None` when every draw does.
#[must_use]
pub fn threshold(share: &BigRational) -> Option<u64> {
    let scaled = share * BigRational::from_integer(BigInt::one() << 64);
    scaled.to_integer().to_u64()
}

/// Marks the held-out documents among all sources' survivors.
///
/// A source may keep copies of another's documents (`copies_of`), and without exact dedup any source may. What is held out of
/// one is held out of all, whatever the limit says: a text is never trained on and validated with.
pub fn hold_out(stores: &[SourceStore], sources: &[Source], exact: bool, holdout: &Holdout) -> Result<()> {
    let held: Vec<Vec<u128>> = stores.iter().map(|store| choose(store, holdout)).collect::<Result<_>>()?;
    let related: Vec<(usize, usize)> = if exact {
        let subsets = sources.iter().enumerate().filter_map(|(s, source)| Some((s, source.copies_of?)));
        subsets.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
    } else {
        // A source's own copies too: the limit may have been reached among them.
        (0..stores.len()).flat_map(|a| (0..stores.len()).map(move |b| (a, b))).collect()
    };
    for (a, b) in related {
        if held[a].is_empty() {
            continue;
        }
        stores[b].walk(|segment, number, row, fate| {
            if fate == Fate::Survives && held[a].binary_search(&row.key).is_ok() {
                stores[b].fates[segment].set(number, Fate::HeldOut)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Marks one source's held-out documents, and returns their keys in order.
fn choose(store: &SourceStore, holdout: &Holdout) -> Result<Vec<u128>> {
    let threshold = threshold(&holdout.share);
    let mut chosen = Vec::new();
    store.walk(|segment, number, row, fate| {
        if fate == Fate::Survives {
            let draw = draw(&holdout.name, row.key);
            if threshold.is_none_or(|t| draw < t) {
                chosen.push((draw, row.key, row.tokens, segment, number));
            }
        }
        Ok(())
    })?;
    chosen.sort_unstable();
    let mut left = holdout.max_tokens_per_source;
    let mut held = Vec::new();
    for (_, key, tokens, segment, number) in chosen {
        if let Some(left) = left.as_mut() {
            match left.checked_sub(u64::from(tokens)) {
                Some(rest) => *left = rest,
                None => break,
            }
        }
        store.fates[segment].set(number, Fate::HeldOut)?;
        held.push(key);
    }
    held.sort_unstable();
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_becomes_a_threshold() {
        let ratio = |n: i64, d: i64| BigRational::new(n.into(), d.into());
        assert_eq!(threshold(&ratio(1, 1)), None);
        assert_eq!(threshold(&ratio(1, 2)), Some(1 << 63));
        assert_eq!(threshold(&ratio(0, 1)), Some(0));
    }

    #[test]
    fn the_share_is_about_right_and_the_name_salts_it() {
        let t = threshold(&BigRational::new(1.into(), 10.into())).unwrap();
        let chosen = |name: &str| (0..10_000u128).filter(|k| draw(name, *k) < t).collect::<Vec<_>>();
        let (a, b) = (chosen("validation"), chosen("other"));
        assert!((900..1100).contains(&a.len()), "{}", a.len());
        assert_ne!(a, b);
    }
}
