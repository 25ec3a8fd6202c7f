//! Characters that merging may begin with whole: a word of Chinese is a third as long then.
//!
//! **The rule.** *A character's bytes may be taken for the symbol that they become alone, where no merge result joins the character
//! in part to what stands beside it, and every merge that takes the symbol is of higher rank than all those which made it.*
//!
//! **Why.** Let merging go its way, by bytes. No result spans either end of such a character `A` without having it whole; the symbols
//! that make such a result end and begin there, so one of them has `A` whole already. Until its bytes are one symbol they are
//! hence joined to each other alone, in the order and to the symbols as if `A` stood alone: call these joins inner. Now leave the
//! inner joins out and begin with the symbol. Every pair of the first way that is not inner is there in the second, too. The
//! second has more pairs, those with an `A` whose inner joins are still to come in the first; but the first then has an inner pair
//! of `A` to join, of lower rank than any merge that takes `A`, and takes it, or something of lower rank still. So whatever the first
//! takes that is not inner is the least, and of equals the leftmost, in the second: both make the same joins, but for the inner ones. ∎

use super::super::merge::{NONE, Pairs};
use super::classes::character;
use super::cuts::Cuts;

/// Symbols of single characters of the Basic Multilingual Plane.
pub struct Letters {
    /// By character; [`NONE`] for those that merging begins with the bytes of.
    symbols: Box<[u32]>,
}

impl std::fmt::Debug for Letters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Letters").finish_non_exhaustive()
    }
}

impl Letters {
    /// From the symbols of bytes, the merges (left, right, result) and the bytes of their results.
    pub fn new<'r>(
        bytes: &[u32; 256],
        pairs: &Pairs,
        merges: &[(u32, u32, u32)],
        results: impl Iterator<Item = &'r [u8]>,
    ) -> Self {
        let largest = merges.iter().map(|merge| merge.0.max(merge.1)).max().unwrap_or(0);
        // The least rank that takes a symbol.
        let mut taken = vec![NONE; largest as usize + 1];
        for &(left, right, _) in merges {
            let rank = pairs.rank(left, right);
            for symbol in [left, right] {
                let least = &mut taken[symbol as usize];
                *least = rank.min(*least);
            }
        }
        let mut symbols: Box<[u32]> = vec![NONE; 1 << 16].into();
        for result in results.filter(|result| !result.is_ascii()) {
            let (letter, width) = character(result, 0);
            if width != result.len() || result[1..].iter().any(|byte| byte & 0xC0 != 0x80) {
                continue;
            }
            let Some(slot) = symbols.get_mut(letter as usize) else { continue };
            if let Some((symbol, rank)) = alone(result, bytes, pairs)
                && taken.get(symbol as usize).is_none_or(|least| *least > rank)
            {
                *slot = symbol;
            }
        }
        Self { symbols }
    }

    /// Appends the symbols that merging a word may begin with. `word` is text.
    pub fn begin(&self, word: &[u8], bytes: &[u32; 256], cuts: &Cuts, symbols: &mut Vec<u32>) {
        let (mut at, mut free) = (0, true);
        while at < word.len() {
            let (letter, width) = character(word, at);
            let end = word.len().min(at + width);
            let free_behind = word.get(end).is_none_or(|first| !cuts.joins_in_part(word[end - 1], *first));
            match self.symbols.get(letter as usize) {
                Some(&symbol) if symbol != NONE && free && free_behind => symbols.push(symbol),
                _ => symbols.extend(word[at..end].iter().map(|byte| bytes[usize::from(*byte)])),
            }
            (at, free) = (end, free_behind);
        }
    }
}

/// The one symbol that a character's bytes become alone, and the highest rank of the merges that make it.
fn alone(letter: &[u8], bytes: &[u32; 256], pairs: &Pairs) -> Option<(u32, u32)> {
    let mut symbols: Vec<u32> = letter.iter().map(|byte| bytes[usize::from(*byte)]).collect();
    let mut highest = 0;
    while symbols.len() > 1 {
        let ranks = symbols.windows(2).map(|two| pairs.rank(two[0], two[1])).enumerate();
        let (at, rank) = ranks.min_by_key(|&(at, rank)| (rank, at))?;
        if rank == NONE {
            return None;
        }
        symbols[at] = pairs.result(rank);
        symbols.remove(at + 1);
        highest = highest.max(rank);
    }
    Some((*symbols.first()?, highest))
}

#[cfg(test)]
mod tests {
    use super::super::super::merge::Merger;
    use super::*;

    /// Bytes are their own symbols; 256, 257, ... are the results of merges in turn.
    fn bytes() -> [u32; 256] {
        std::array::from_fn(|byte| u32::try_from(byte).unwrap())
    }

    fn numbered(merges: &[(u32, u32)]) -> Vec<(u32, u32, u32)> {
        merges.iter().zip(256..).map(|(merge, result)| (merge.0, merge.1, result)).collect()
    }

    /// What is begun with, for a word; checked to become what its bytes become.
    fn begun(word: &str, merges: &[(u32, u32, u32)]) -> Vec<u32> {
        let mut results: Vec<Vec<u8>> = Vec::new();
        for &(left, right, _) in merges {
            let of = |symbol: u32| match u8::try_from(symbol) {
                Ok(byte) => vec![byte],
                Err(_) => results[symbol as usize - 256].clone(),
            };
            let result = [of(left), of(right)].concat();
            results.push(result);
        }
        let results = || results.iter().map(Vec::as_slice);
        let (bytes, pairs, cuts) = (bytes(), Pairs::new(merges).unwrap(), Cuts::new(results()));
        let letters = Letters::new(&bytes, &pairs, merges, results());
        let merged = |symbols: &[u32]| {
            let (mut merger, mut ids) = (Merger::default(), Vec::new());
            merger.symbols.extend(symbols);
            merger.merge(&pairs, &mut ids);
            ids
        };
        let mut symbols = Vec::new();
        letters.begin(word.as_bytes(), &bytes, &cuts, &mut symbols);
        let by_bytes: Vec<u32> = word.bytes().map(u32::from).collect();
        assert_eq!(merged(&symbols), merged(&by_bytes), "{word}");
        symbols
    }

    #[test]
    fn characters_are_begun_with_whole() {
        // é is C3 A9, 語 is E8 AA 9E.
        let merges = numbered(&[(0xC3, 0xA9), (0xAA, 0x9E), (0xE8, 257), (258, 256), (0x61, 256)]);
        assert_eq!(begun("aé語é語語", &merges), [0x61, 256, 258, 256, 258, 258]);
        // One that no merges make, and one beyond the plane.
        assert_eq!(begun("è\u{1f600}", &merges), [0xC3, 0xA8, 0xF0, 0x9F, 0x98, 0x80]);
    }

    #[test]
    fn beside_what_joins_it_in_part_a_character_is_its_bytes() {
        // `a` and the first byte of é; the last byte of é and `b`.
        let merges = numbered(&[(0xC3, 0xA9), (0x61, 0xC3), (0xA9, 0x62)]);
        assert_eq!(begun("éaéé", &merges), [256, 0x61, 0xC3, 0xA9, 256]);
        assert_eq!(begun("éébé", &merges), [256, 0xC3, 0xA9, 0x62, 256]);
    }

    #[test]
    fn a_character_that_is_taken_by_a_lower_rank_is_its_bytes() {
        // é and `b` are of lower rank than what makes é, so `bc` comes before it.
        let merges = [(256, 0x62, 258), (0x62, 0x63, 257), (0xC3, 0xA9, 256)];
        let pairs = Pairs::new(&merges).unwrap();
        let results: [&[u8]; 3] = ["éb".as_bytes(), b"bc", "é".as_bytes()];
        let letters = Letters::new(&bytes(), &pairs, &merges, results.into_iter());
        let mut symbols = Vec::new();
        letters.begin("ébc".as_bytes(), &bytes(), &Cuts::new(results.into_iter()), &mut symbols);
        assert_eq!(symbols, [0xC3, 0xA9, 0x62, 0x63]);
    }
}
