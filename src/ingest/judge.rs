//! One row's way from readable to document: empty → text rules → thinning → tokens. Metadata and reading come before,
//! in the decoder.

use num_rational::BigRational;
use xxhash_rust::xxh3::xxh3_128;

use crate::curriculum::checked::TextRule;
use crate::dedup::holdout::threshold;

/// What a readable row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// White space only.
    Empty,
    /// Removed by the rule of this name.
    Filtered(&'static str),
    /// A document with this key.
    Document(u128),
}

/// The key of a text: XXH3-128 of its UTF-8 bytes.
#[must_use]
pub fn key(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

/// Judges a readable text by a source's rules.
#[must_use]
pub fn judge(text: &str, rules: &[TextRule], thin: Thin) -> Verdict {
    if text.trim_start().is_empty() {
        return Verdict::Empty;
    }
    for rule in rules {
        let (holds, name) = match rule {
            TextRule::MinBytes(n) => (text.len() as u64 >= *n, "min_bytes"),
            TextRule::MaxBytes(n) => (text.len() as u64 <= *n, "max_bytes"),
            TextRule::MinChars(n) => (text.chars().count() as u64 >= *n, "min_chars"),
            TextRule::MaxChars(n) => (text.chars().count() as u64 <= *n, "max_chars"),
        };
        if !holds {
            return Verdict::Filtered(name);
        }
    }
    let key = key(text);
    if thin.keeps(key) { Verdict::Document(key) } else { Verdict::Filtered("thin") }
}

/// `--thin`: keeps documents by the top half of their key, so that the same ones stay whatever else is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thin(Option<u64>);

impl Thin {
    /// From a share; `None` keeps all.
    #[must_use]
    pub fn new(share: Option<&BigRational>) -> Self {
        Self(share.and_then(threshold))
    }

    pub(super) fn keeps(self, key: u128) -> bool {
        // Bytes 8..16 of the key: the top half chooses ranges, and a thinned source should still fill all of them.
        self.0.is_none_or(|threshold| u64::try_from(key & u128::from(u64::MAX)).unwrap_or(u64::MAX) < threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_judged_in_order_and_the_first_that_fails_is_named() {
        let all = Thin::new(None);
        let rules = [TextRule::MinChars(3), TextRule::MaxBytes(6)];
        assert_eq!(judge(" \n\u{a0}", &rules, all), Verdict::Empty);
        assert_eq!(judge("é", &rules, all), Verdict::Filtered("min_chars"));
        assert_eq!(judge("ééé", &rules, all), Verdict::Document(key("ééé")));
        assert_eq!(judge("éééé", &rules, all), Verdict::Filtered("max_bytes"));
    }

    #[test]
    fn thinning_keeps_about_its_share() {
        let thin = Thin::new(Some(&BigRational::new(1.into(), 4.into())));
        let kept = (0..4000).filter(|i| judge(&format!("text {i}"), &[], thin) != Verdict::Filtered("thin")).count();
        assert!((900..1100).contains(&kept), "{kept}");
    }
}
