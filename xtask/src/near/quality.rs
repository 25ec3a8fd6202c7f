//! Recall and survivors against brute force.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use syllabus::dedup::near::{Bands, NearOptions, Removed, Signer, Threshold, removed as near_removed};
use syllabus::dedup::words::{Signs, Words};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::corpus::{self, DOMAINS, Document, Near};

/// Documents that are edited: some hundred bytes to some pages.
const BYTES: std::ops::Range<usize> = 300..6000;

/// Edited words in a hundred.
const PERCENT: [u64; 12] = [1, 1, 2, 2, 3, 4, 6, 8, 12, 20, 40, 60];

/// Words edited side by side.
const RUN: [u64; 4] = [1, 4, 12, 40];

/// Words in a shingle.
const SHINGLE: u32 = 5;

pub fn run(data: &Path, count: usize) -> Result<()> {
    let documents = planted(data, count)?;
    let threshold = Threshold::new(8, 10)?;
    let options = NearOptions { threshold, shingle: SHINGLE, bands: Bands::for_threshold(threshold) };
    println!("{} documents, {} bands of {} rows", documents.len(), options.bands.bands(), options.bands.rows());

    let mut words = Words::new(Signs::Kept, 5);
    let sets: Vec<Vec<u64>> = documents.iter().map(|d| corpus::shingles(&mut words, &d.text, 5)).collect();
    let mut signer = Signer::new(SHINGLE);
    let hashes: Vec<Vec<u64>> =
        documents.iter().map(|d| options.bands.hashes(&signer.sign(&d.text)).collect()).collect();
    let share = |a: usize, b: usize| hashes[a].iter().zip(&hashes[b]).any(|(a, b)| a == b);

    // Every pair from 0.5: (similarity, whether it shares a band).
    let start = Instant::now();
    let mut found = [(0_u32, 0_u32, 0.0); 10];
    let mut similar: Vec<(usize, usize, u64, u64, bool)> = Vec::new();
    for a in 0..sets.len() {
        for b in 0..a {
            let (small, large) = (sets[a].len().min(sets[b].len()) as u64, sets[a].len().max(sets[b].len()) as u64);
            if small * 2 < large {
                continue;
            }
            let both = corpus::common(&sets[a], &sets[b]);
            let either = small + large - both;
            if both * 2 < either {
                continue;
            }
            let shared = share(a, b);
            let class = &mut found[usize::try_from((both * 20 / either).min(19) - 10)?];
            class.0 += u32::from(shared);
            class.1 += 1;
            class.2 += options.bands.probability(both as f64 / either as f64);
            if threshold.reached(both, either) {
                similar.push((a, b, both, either, shared));
            }
        }
    }
    println!("all pairs by brute force: {:.1} s", start.elapsed().as_secs_f64());
    println!("similarity      pairs   found  recall  expected");
    for (class, (found, all, expected)) in found.iter().enumerate() {
        let from = 0.5 + 0.05 * class as f64;
        let all_f = f64::from((*all).max(1));
        println!(
            "{from:.2} to {:.2}  {all:7} {found:7}  {:6.4}  {:8.4}",
            from + 0.05,
            f64::from(*found) / all_f,
            expected / all_f
        );
    }

    let start = Instant::now();
    let folder = data_free_scratch()?;
    let removed = near_removed(&Near { documents: &documents, shingle: SHINGLE }, &options, &folder, 256 << 20, 2)?;
    println!("near::removed: {} removed, {:.2} s", removed.len(), start.elapsed().as_secs_f64());
    fs_err::remove_dir_all(&folder)?;

    let truth = survivors(&documents, &similar, |_| true);
    let given = survivors(&documents, &similar, |shared| shared);
    let different = |other: &[Removed]| {
        let of = |removed: &[Removed]| removed.iter().map(|r| r.document).collect::<std::collections::BTreeSet<_>>();
        of(&removed).symmetric_difference(&of(other)).count()
    };
    println!("the rule over all similar pairs: {} removed, {} differ", truth.len(), different(&truth));
    println!("the rule over candidates:        {} removed, {} differ", given.len(), different(&given));
    ensure!(removed == given, "the survivors are not those of the rule over the candidates");
    let recall = |class: &(u32, u32, f64)| f64::from(class.0) / f64::from(class.1.max(1));
    let from_nine = (found[8].0 + found[9].0, found[8].1 + found[9].1, 0.0);
    ensure!(from_nine.1 >= 100 && found[7].1 >= 100, "too few similar pairs to judge");
    ensure!(recall(&from_nine) >= 0.99, "recall from 0.9: {}", recall(&from_nine));
    ensure!(recall(&found[7]) >= 0.95, "recall from 0.85 to 0.9: {}", recall(&found[7]));
    println!("recall from 0.9: {:.5}; from 0.85 to 0.9: {:.5}", recall(&from_nine), recall(&found[7]));
    Ok(())
}

fn data_free_scratch() -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("syllabus-near-{}", std::process::id()));
    fs_err::create_dir_all(&folder)?;
    Ok(folder)
}

/// The stated rule over these similar pairs.
fn survivors(
    documents: &[Document],
    similar: &[(usize, usize, u64, u64, bool)],
    take: impl Fn(bool) -> bool,
) -> Vec<Removed> {
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_cached_key(|&i| {
        let text = &documents[i].text;
        (std::cmp::Reverse(text.len()), xxh3_128(text.as_bytes()))
    });
    let mut place = vec![0; documents.len()];
    for (at, &document) in order.iter().enumerate() {
        place[document] = at;
    }
    let mut earlier: Vec<Vec<(usize, u64, u64)>> = vec![Vec::new(); documents.len()];
    for &(a, b, both, either, shared) in similar {
        if take(shared) {
            let (first, second) = if place[a] < place[b] { (a, b) } else { (b, a) };
            earlier[second].push((first, both, either));
        }
    }
    let mut gone = vec![false; documents.len()];
    let mut removed = Vec::new();
    for document in order {
        let stays = |&&(first, ..): &&(usize, u64, u64)| !gone[first];
        let evidence = earlier[document].iter().filter(stays).min_by_key(|&&(first, ..)| place[first]);
        if let Some(&(kept, intersection, union)) = evidence {
            let (document, kept) = (document as u64, kept as u64);
            removed.push(Removed { document, kept, held_out: false, intersection, union });
            gone[usize::try_from(document).unwrap_or(usize::MAX)] = true;
        }
    }
    removed.sort_unstable();
    removed
}

/// Real documents of every domain and edited copies of them.
fn planted(data: &Path, count: usize) -> Result<Vec<Document>> {
    let mut out = Vec::new();
    let copies = 4;
    let bases = count / DOMAINS.len() / (copies + 1);
    for domain in DOMAINS {
        let mut documents = corpus::read(data, domain)?;
        corpus::distinct(&mut documents);
        documents.retain(|d| BYTES.contains(&d.text.len()));
        documents.sort_by_cached_key(|d| xxh3_128(d.text.as_bytes()));
        documents.truncate(bases);
        for (number, document) in documents.into_iter().enumerate() {
            // A copy may be of a copy: chains.
            let mut family = vec![document];
            for copy in 0..copies {
                let dice = |salt: u64, below: u64| {
                    xxh3_64_with_seed(format!("{domain} {number} {copy}").as_bytes(), salt) % below
                };
                let of = usize::try_from(dice(1, family.len() as u64))?;
                let percent = PERCENT[usize::try_from(dice(2, PERCENT.len() as u64))?];
                let run = RUN[usize::try_from(dice(3, RUN.len() as u64))?];
                let text = edit(&family[of].text, percent, run, &dice);
                family.push(Document { source: domain.into(), text });
            }
            out.append(&mut family);
        }
    }
    corpus::distinct(&mut out);
    Ok(out)
}

/// Replaces, drops or doubles so many words in a hundred (at least one), in runs.
fn edit(text: &str, percent: u64, run: u64, dice: &dyn Fn(u64, u64) -> u64) -> String {
    // Pieces end with white space, or after a character of a script without spaces.
    let mut pieces: Vec<String> = vec![String::new()];
    for c in text.chars() {
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
        if c.is_whitespace() || u32::from(c) >= 0x2E80 {
            pieces.push(String::new());
        }
    }
    let length = pieces.len() as u64;
    let edits = (length * percent / 100).max(1);
    let mut done = 0;
    let mut salt = 10;
    while done < edits {
        salt += 3;
        let (start, kind) = (dice(salt, length), dice(salt + 1, 3));
        let end = (start + run.min(edits - done)).min(length);
        for at in start..end {
            if let Some(piece) = usize::try_from(at).ok().and_then(|at| pieces.get_mut(at)) {
                match kind {
                    0 => piece.clear(),
                    1 => *piece = format!("{piece} {piece}"),
                    _ => *piece = format!("x{} ", dice(salt + 2 + at, 1 << 30)),
                }
            }
            done += 1;
        }
    }
    pieces.concat()
}
