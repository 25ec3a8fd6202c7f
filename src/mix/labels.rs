//! Which position of a block belongs to which source: the interleave's labels, shuffled.
//!
//! The interleave is so even that it repeats itself, and a data-parallel rank that reads every r-th window could see one source
//! only. Shuffling the labels within a block of 256 breaks that and leaves the counts at block borders as they are.

use super::hash::BlockStream;

/// Windows of a block; the last block of a phase may be shorter.
pub const BLOCK: u64 = 256;

/// Permutes a block's owner labels in place: Fisher-Yates with numbers drawn from H(seed, phase, block).
///
/// Only labels move. A source's windows keep their own order: the first label of a source in the block takes its next window.
pub fn permute(seed: u64, phase: &str, block: u64, owners: &mut [u16]) {
    let mut stream = BlockStream::new(seed, phase, block);
    for last in (1..owners.len()).rev() {
        let bound = last as u64 + 1;
        #[expect(clippy::cast_possible_truncation, reason = "below the slice's length")]
        let other = stream.below(bound) as usize;
        owners.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_that_depends_on_every_field() {
        let labels: Vec<u16> = (0..256).collect();
        let permuted = |seed, phase: &str, block| {
            let mut owners = labels.clone();
            permute(seed, phase, block, &mut owners);
            owners
        };
        let first = permuted(1, "a", 0);
        assert_eq!(first, permuted(1, "a", 0));
        for other in [permuted(2, "a", 0), permuted(1, "b", 0), permuted(1, "a", 1), labels.clone()] {
            assert_ne!(first, other);
        }
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, labels);
        permute(1, "a", 0, &mut []);
        permute(1, "a", 0, &mut [7]);
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        // 6,000 blocks, 1,000 expected of each of six orders, standard deviation 29.
        let mut seen = std::collections::BTreeMap::new();
        for block in 0..6_000 {
            let mut owners = [0, 1, 2];
            permute(9, "phase", block, &mut owners);
            *seen.entry(owners).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
    }
}
