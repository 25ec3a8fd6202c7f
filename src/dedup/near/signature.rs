//! Signatures: 128 values of a document whose agreement estimates the Jaccard index of two sets of shingles.
//!
//! The sketch is *fast similarity sketching* (Dahlgaard, Knudsen, Thorup, FOCS 2017): one-permutation hashing in which a bin that
//! stays empty is not filled by copying a neighbour (densification), but by another round over the shingles with fresh hashes. Bins
//! are as good as independent permutations even for documents of a few shingles, and a document of many needs one round.
//!
//! A value is 16 bits wide: two different minima agree in 2^-16 of cases, which a band of several rows does not notice and
//! verification undoes.

use crate::dedup::words::{Runs, Signs};

/// Values of a signature.
pub const VALUES: usize = 128;

/// Version of the recipe (words, hash, rounds): signatures of different versions are not to be compared.
pub const VERSION: u32 = 2;

/// The values of one document; [`EMPTY`] when it has no words.
pub type Signature = [u16; VALUES];

/// A document without words: similar to nothing.
pub const EMPTY: Signature = [0; VALUES];

/// log2 of [`VALUES`]: the bits of a hash that choose the bin.
const BIN_BITS: u32 = VALUES.ilog2();

/// Shingles kept for further rounds, about; a document with more is cut into words again when a bin is still empty, which hardly happens.
const KEPT: usize = 4096;

/// Signs documents, one after the other; keeps its buffers.
#[derive(Debug)]
pub struct Signer {
    words: Runs,
    shingles: Vec<u64>,
}

impl Signer {
    /// Signs sets of shingles of so many words.
    #[must_use]
    pub fn new(shingle: u32) -> Self {
        let shingle = usize::try_from(shingle).unwrap_or(usize::MAX).max(1);
        Self { words: Runs::new(Signs::Kept, shingle, 0), shingles: Vec::new() }
    }

    /// The signature of a text.
    pub fn sign(&mut self, text: &str) -> Signature {
        let Self { words, shingles } = self;
        shingles.clear();
        let mut bins = Bins::new();
        let mut count = 0_usize;
        words.shingles(text, |hashes| {
            if count < KEPT {
                shingles.extend_from_slice(hashes);
            }
            count += hashes.len();
            hashes.iter().for_each(|&hash| bins.add(hash));
        });
        if count == 0 {
            return EMPTY;
        }
        let values = u64::try_from(VALUES).unwrap_or(u64::MAX);
        let mut round = 0;
        while round < 2 * values && bins.any_empty() {
            round += 1;
            let factor = mix(round) | 1;
            // From the round after as many as there are bins, each fills its own bin for certain.
            let forced = round.checked_sub(values + 1);
            if count == shingles.len() {
                bins.add_round(shingles, round, factor, forced);
            } else {
                words.shingles(text, |hashes| bins.add_round(hashes, round, factor, forced));
            }
        }
        bins.signature()
    }
}

/// The minimum of each bin in the round that filled it. A hash's top bits choose the bin, others are its value.
struct Bins {
    /// The round in the top 16 bits, then 48 bits of the value: a later round is larger than any value of an earlier one, so that a
    /// bin keeps the smallest of the first round that had one. `u64::MAX` while empty.
    smallest: [u64; VALUES],
}

/// Bits of a value.
const VALUE_BITS: u32 = 48;

impl Bins {
    fn new() -> Self {
        Self { smallest: [u64::MAX; VALUES] }
    }

    /// The first round: shingle hashes are used as they are.
    #[inline]
    fn add(&mut self, hash: u64) {
        self.put(hash >> (u64::BITS - BIN_BITS), 0, hash);
    }

    /// A later round: hashes times an odd number of the round's own; `forced`: all go into this bin.
    fn add_round(&mut self, hashes: &[u64], round: u64, factor: u64, forced: Option<u64>) {
        for &hash in hashes {
            let hash = (hash ^ hash >> 32).wrapping_mul(factor);
            self.put(forced.unwrap_or(hash >> (u64::BITS - BIN_BITS)), round << VALUE_BITS, hash);
        }
    }

    /// No branch: whether a bin was filled before is a matter of chance.
    #[inline]
    fn put(&mut self, bin: u64, round: u64, hash: u64) {
        if let Some(smallest) = usize::try_from(bin).ok().and_then(|bin| self.smallest.get_mut(bin)) {
            *smallest = (*smallest).min(round | hash << BIN_BITS >> (u64::BITS - VALUE_BITS));
        }
    }

    fn any_empty(&self) -> bool {
        // The rounds end below 2^15, so only an empty bin has the top bit.
        self.smallest.iter().fold(0, |any, &smallest| any | smallest) >> (u64::BITS - 1) != 0
    }

    fn signature(&self) -> Signature {
        let mut signature = EMPTY;
        for (value, smallest) in signature.iter_mut().zip(&self.smallest) {
            // The low bits: a minimum's high bits are nearly always zero.
            *value = u16::try_from(smallest & 0xFFFF).unwrap_or(0);
        }
        signature
    }
}

/// Mixes 64 bits: the finalizer of MurmurHash3.
fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    x ^= x >> 33;
    x = x.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of numbered words; every word is a shingle.
    fn text(words: std::ops::Range<u64>) -> String {
        words.map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ")
    }

    fn agreement(a: &Signature, b: &Signature) -> f64 {
        let equal = a.iter().zip(b).filter(|(a, b)| a == b).count();
        f64::from(u32::try_from(equal).unwrap()) / 128.0
    }

    #[test]
    fn empty_short_and_equal() {
        let mut signer = Signer::new(5);
        assert_eq!(signer.sign(" \n "), EMPTY);
        assert_eq!(signer.sign("One\ttwo"), signer.sign("one TWO "));
        assert_ne!(signer.sign("one two"), signer.sign("one two three"));
        // One shingle, up to 256 rounds: all bins are filled.
        assert!(signer.sign("one").iter().collect::<std::collections::BTreeSet<_>>().len() > 120);
        let long = text(0..20_000);
        assert_eq!(signer.sign(&long), signer.sign(&long.to_uppercase()));
    }

    /// The set is what counts: neither order nor repetition, also where rounds read the text again.
    #[test]
    fn sets_not_sequences() {
        let mut signer = Signer::new(1);
        for size in [1, 3, 20, 500, 6000] {
            let (forth, words) = (text(0..size), (0..size).rev());
            let back = words.flat_map(|w| vec![format!("w{w}"); 2]).collect::<Vec<_>>().join(" ");
            assert_eq!(signer.sign(&forth), signer.sign(&back), "{size}");
        }
        let few = "a b c ".repeat(5000);
        assert_eq!(signer.sign(&few), signer.sign("c b a"));
    }

    /// Mean agreement equals the Jaccard index and its spread is that of 128 independent permutations, for large and small sets.
    #[test]
    fn agreement_estimates_jaccard() {
        let mut signer = Signer::new(1);
        for (size, shift) in [(8_u64, 1_u64), (20, 2), (100, 20), (1000, 100)] {
            let trials = 300_u64;
            let jaccard = (size - shift) as f64 / (size + shift) as f64;
            let (mut sum, mut squares) = (0.0, 0.0);
            for trial in 0..trials {
                let start = trial * 10_000;
                let a = signer.sign(&text(start..start + size));
                let b = signer.sign(&text(start + shift..start + shift + size));
                let error = agreement(&a, &b) - jaccard;
                sum += error;
                squares += error * error;
            }
            let (mean, variance) = (sum / trials as f64, squares / trials as f64);
            let independent = jaccard * (1.0 - jaccard) / 128.0;
            assert!(mean.abs() < 4.0 * (independent / trials as f64).sqrt(), "size {size}: bias {mean}");
            assert!(variance < independent * 1.4, "size {size}: variance {variance}, independent {independent}");
        }
    }
}
