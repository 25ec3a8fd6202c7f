//! What must come of a case, by brute force from its rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::generate::{Case, Mix, Part, Phase, Text, Weight};
use super::similar::{self, Items};
use crate::fixtures::reference;

pub type Key = [u8; 16];

/// A document that dedup kept.
#[derive(Debug, Clone)]
pub struct Document {
    /// With BOS and EOS.
    pub ids: Vec<u32>,
    pub bytes: u64,
    /// Rows that stay: one, unless equal ones may.
    pub copies: u64,
}

/// What becomes of a source.
#[derive(Debug, Default)]
pub struct Fate {
    /// Documents by outcome of the ledger.
    pub documents: BTreeMap<String, u64>,
    /// Tokens by outcome.
    pub tokens: BTreeMap<&'static str, u64>,
    pub held_out: BTreeMap<Key, Document>,
    pub survivors: BTreeMap<Key, Document>,
    /// Documents removed, each as often as it is.
    pub removed: Vec<Gone>,
}

/// A removed document.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Gone {
    pub document: Key,
    pub reason: &'static str,
    pub kept: Option<Key>,
    pub similarity: f64,
}

impl Fate {
    pub fn unique(&self) -> u64 {
        self.tokens.get("survived").copied().unwrap_or(0)
    }

    pub fn count(&mut self, outcome: &str, documents: u64) {
        *self.documents.entry(outcome.to_owned()).or_default() += documents;
    }

    pub fn weigh(&mut self, outcome: &'static str, tokens: u64) {
        *self.tokens.entry(outcome).or_default() += tokens;
    }
}

/// The fates of all sources.
pub fn fates(case: &Case) -> Vec<Fate> {
    let tokenizer = reference(case.framing.tokenizer);
    let id = |token: Option<&str>| token.map(|token| tokenizer.token_to_id(token).unwrap());
    let (bos, eos) = (id(case.framing.bos), id(case.framing.eos));
    let items = case.benchmarks.as_ref().map(Items::new);
    let mut fates: Vec<Fate> = Vec::new();
    // For each source, its good texts and how often they stand there.
    let mut texts: Vec<BTreeMap<&str, u64>> = Vec::new();
    let mut ids: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for source in &case.sources {
        let (mut fate, mut good) = (Fate::default(), BTreeMap::new());
        for row in &source.rows {
            fate.count("read", 1);
            let outcome = match &row.text {
                Text::Torn => "bad".to_owned(),
                _ if source.condition.as_ref().is_some_and(|condition| !condition.reads(row)) => {
                    "filtered:where".to_owned()
                }
                Text::Number => "bad".to_owned(),
                Text::Good(text) if text.chars().all(char::is_whitespace) => "empty".to_owned(),
                Text::Good(text) => {
                    let (bytes, chars) = (text.len() as u64, text.chars().count() as u64);
                    let failed = source.rules.iter().find(|(rule, bound)| match *rule {
                        "min_bytes" => bytes < *bound,
                        "max_bytes" => bytes > *bound,
                        "min_chars" => chars < *bound,
                        _ => chars > *bound,
                    });
                    match failed {
                        Some((rule, _)) => format!("filtered:{rule}"),
                        None if let Some(similarity) = items.as_ref().and_then(|items| items.leak(text)) => {
                            let document = xxhash_rust::xxh3::xxh3_128(text.as_bytes()).to_be_bytes();
                            fate.removed.push(Gone { document, reason: "contaminated", kept: None, similarity });
                            "contaminated".to_owned()
                        }
                        None => {
                            *good.entry(text.as_str()).or_default() += 1;
                            let of_text = ids.entry(text.as_str()).or_insert_with(|| {
                                let encoded = tokenizer.encode_fast(text.as_str(), false).unwrap();
                                bos.into_iter().chain(encoded.get_ids().iter().copied()).chain(eos).collect()
                            });
                            fate.weigh("tokenized", of_text.len() as u64);
                            continue;
                        }
                    }
                }
            };
            fate.count(&outcome, 1);
        }
        fates.push(fate);
        texts.push(good);
    }
    let mut order: Vec<usize> = (0..case.sources.len()).collect();
    order.sort_by_key(|&source| (Reverse(case.sources[source].priority), source));
    let related = |a: usize, b: usize| case.sources[a].copies_of == Some(b) || case.sources[b].copies_of == Some(a);
    for (text, ids) in &ids {
        let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
        let key = hash.to_be_bytes();
        let mut keepers: Vec<usize> = Vec::new();
        for &source in &order {
            let Some(&rows) = texts[source].get(text) else { continue };
            let keeps = !case.exact || keepers.iter().all(|&keeper| related(keeper, source));
            let copies = if !case.exact { rows } else { u64::from(keeps) };
            let fate = &mut fates[source];
            fate.count("exact", rows - copies);
            fate.weigh("exact", (rows - copies) * ids.len() as u64);
            let gone = Gone { document: key, reason: "exact", kept: Some(key), similarity: 1.0 };
            fate.removed.extend((copies..rows).map(|_| gone.clone()));
            if copies > 0 {
                keepers.push(source);
                fate.survivors.insert(key, Document { ids: ids.clone(), bytes: text.len() as u64, copies });
            }
        }
    }
    fates.iter_mut().for_each(|fate| hold_out(case, fate));
    // A cap may leave a text in one source that is held out of another.
    for key in all_held_out(&fates) {
        for fate in &mut fates {
            if let Some(document) = fate.survivors.remove(&key) {
                fate.held_out.insert(key, document);
            }
        }
    }
    if let Some(near) = &case.near {
        let mut ranks = vec![0; order.len()];
        order.iter().enumerate().for_each(|(rank, &source)| ranks[source] = rank);
        // The text that the model reads, by Hugging Face's own decoder.
        let read = |document: &Document| {
            let ids = &document.ids[bos.iter().count()..document.ids.len() - eos.iter().count()];
            tokenizer.decode(ids, false).unwrap()
        };
        similar::remove(case, near, &ranks, &mut fates, &read);
    }
    for fate in &mut fates {
        fate.removed.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let survivors: Vec<Document> = fate.survivors.values().cloned().collect();
        for document in survivors {
            fate.count("survived", document.copies);
            fate.weigh("survived", document.copies * document.ids.len() as u64);
        }
        let held: Vec<Document> = fate.held_out.values().cloned().collect();
        for document in held {
            fate.count("held_out", document.copies);
            fate.weigh("held_out", document.copies * document.ids.len() as u64);
        }
    }
    fates
}

/// Takes a source's held-out documents from its survivors: those whose draw is below the share, smallest first, while they
/// are within the cap.
fn hold_out(case: &Case, fate: &mut Fate) {
    let Some((share, cap)) = case.holdout else { return };
    let threshold = (u128::from(share) << 64) / 1000;
    let mut drawn: Vec<(u64, Key)> = Vec::new();
    for key in fate.survivors.keys() {
        let mut bytes = b"holdout\0validation\0".to_vec();
        bytes.extend(key.iter().rev());
        let draw = xxhash_rust::xxh3::xxh3_64(&bytes);
        if u128::from(draw) < threshold {
            drawn.push((draw, *key));
        }
    }
    drawn.sort_unstable();
    let mut left = cap.unwrap_or(u64::MAX);
    for (_, key) in drawn {
        // Equal rows are taken one by one; where the cap is reached among them, the others go with them.
        let document = &fate.survivors[&key];
        let tokens = document.ids.len() as u64;
        let taken = document.copies.min(left / tokens);
        let all = taken == document.copies;
        left -= taken * tokens;
        if taken > 0 {
            let document = fate.survivors.remove(&key).unwrap();
            fate.held_out.insert(key, document);
        }
        if !all {
            break;
        }
    }
}

fn ratio(numerator: u64, denominator: u64) -> BigRational {
    BigRational::new(numerator.into(), denominator.into())
}

/// The share of every source; none where the mix cannot be had.
pub fn shares(case: &Case, phase: &Phase, mix: &Mix, sizes: &[u64]) -> Option<Vec<BigRational>> {
    let windows = phase.windows();
    let mut left = BigRational::one();
    let mut relative = 0;
    let mut parts = Vec::new();
    for (weight, part) in mix {
        let absolute = match (weight, part) {
            (Weight::Percent(share), _) => Some(ratio(*share, 1000)),
            (Weight::Tokens(share), _) => Some(ratio(phase.part(*share), phase.tokens)),
            (Weight::Epochs(tenths), Part::Source(source)) => {
                let asked = ratio(sizes[*source] * tenths, 10 * case.window(phase));
                Some(if asked >= BigRational::one() { asked.floor() } else { asked } / ratio(windows, 1))
            }
            (Weight::Epochs(_), _) => panic!("only sources are asked for in epochs"),
            (Weight::Relative(n), _) => {
                relative += n;
                None
            }
            (Weight::Rest, _) => None,
        };
        left -= absolute.clone().unwrap_or_else(BigRational::zero);
        parts.push(absolute);
    }
    if left.is_negative() || (left.is_zero() && parts.iter().any(Option::is_none)) {
        return None;
    }
    let mut shares = vec![BigRational::zero(); sizes.len()];
    for ((weight, part), absolute) in mix.iter().zip(parts) {
        let share = match (absolute, weight) {
            (Some(share), _) => share,
            (None, Weight::Relative(n)) => &left * ratio(*n, relative),
            (None, _) => left.clone(),
        };
        let members: Vec<(usize, u64)> = match part {
            Part::Source(source) => vec![(*source, 1)],
            Part::Of(members) => members.clone(),
            Part::BySize(members) => members.iter().map(|(source, boost)| (*source, boost * sizes[*source])).collect(),
        };
        let total: u64 = members.iter().map(|(_, n)| n).sum();
        for (source, n) in members {
            shares[source] += &share * ratio(n, total);
        }
    }
    Some(shares)
}

/// Shares at a phase's start and end.
pub type Ramps = Vec<(BigRational, BigRational)>;

pub fn ramps(case: &Case, phase: &Phase, sizes: &[u64]) -> Option<Ramps> {
    let from = shares(case, phase, &phase.from, sizes)?;
    let to = match &phase.to {
        Some(to) => shares(case, phase, to, sizes)?,
        None => from.clone(),
    };
    Some(from.into_iter().zip(to).collect())
}

/// The cumulative share of the first `n` of `windows`: from n + (to - from) n² / (2 windows).
pub fn quota((from, to): &(BigRational, BigRational), n: u64, windows: u64) -> BigRational {
    from * ratio(n, 1) + (to - from) * BigRational::new(BigInt::from(n) * n, BigInt::from(2 * windows))
}

/// Why a case may be refused; none where it must compile.
pub fn excuse(case: &Case, fates: &[Fate]) -> Option<String> {
    let sizes: Vec<u64> = fates.iter().map(Fate::unique).collect();
    let mut asked = vec![BigRational::zero(); sizes.len()];
    for (number, phase) in case.phases.iter().enumerate() {
        let Some(ramps) = ramps(case, phase, &sizes) else { return Some(format!("p{number}: no such shares")) };
        for (source, ramp) in ramps.iter().enumerate() {
            let quota = quota(ramp, phase.windows(), phase.windows());
            if quota.is_positive() && quota < BigRational::one() && !phase.allow_zero {
                return Some(format!("p{number}: less than a window of {source}"));
            }
            asked[source] += quota.ceil() * ratio(case.window(phase), 1);
        }
    }
    let short = |source: &usize| {
        case.epochs(*source).is_some_and(|epochs| asked[*source] > ratio(epochs * sizes[*source], 1))
            || (asked[*source].is_positive() && sizes[*source] == 0)
    };
    (0..sizes.len()).find(short).map(|source| format!("source {source} is short"))
}

/// Keys held out of any source.
pub fn all_held_out(fates: &[Fate]) -> BTreeSet<Key> {
    fates.iter().flat_map(|fate| fate.held_out.keys().copied()).collect()
}
