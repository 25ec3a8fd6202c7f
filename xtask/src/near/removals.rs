//! Near duplicates removed in each domain; what `near_datasketch.py` compares.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use syllabus::dedup::near::{Bands, NearOptions, Signer, Threshold, removed as near_removed};
use syllabus::dedup::words::{Runs, Signs, Words};

use super::corpus::{self, DOMAINS, Near};

pub fn run(data: &Path, out: Option<&Path>, memory: u64, only: Option<&str>) -> Result<()> {
    let threshold = Threshold::new(8, 10)?;
    let options = NearOptions { threshold, shingle: 5, bands: Bands::for_threshold(threshold) };
    let scratch = std::env::temp_dir().join(format!("syllabus-near-{}", std::process::id()));
    fs_err::create_dir_all(&scratch)?;
    println!("domain        documents  removed   MB  MB/s words  MB/s sign  seconds in all  largest cluster");
    for domain in DOMAINS.into_iter().filter(|&domain| only.is_none_or(|only| only == domain)) {
        let mut documents = corpus::read(data, domain)?;
        corpus::distinct(&mut documents);
        // As the order does: what stays stands first.
        documents
            .sort_by_cached_key(|d| (std::cmp::Reverse(d.text.len()), xxhash_rust::xxh3::xxh3_128(d.text.as_bytes())));
        let bytes: usize = documents.iter().map(|d| d.text.len()).sum();
        let megabytes = bytes as f64 / 1e6;
        let start = Instant::now();
        let (mut runs, mut words) = (Runs::new(Signs::Kept, 5, 0), Words::new(Signs::Kept, 5));
        let mut sum = 0_u64;
        for document in &documents {
            runs.shingles(&document.text, |hashes| sum = hashes.iter().fold(sum, |sum, hash| sum ^ hash));
        }
        let cut = megabytes / start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut signer = Signer::new(5);
        for document in &documents {
            sum ^= u64::from(signer.sign(&document.text)[0]);
        }
        std::hint::black_box(sum);
        let sign = megabytes / start.elapsed().as_secs_f64();
        let start = Instant::now();
        let removed = near_removed(&Near { documents: &documents, shingle: 5 }, &options, &scratch, memory, 2)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut clusters: BTreeMap<u64, u64> = BTreeMap::new();
        for removed in &removed {
            *clusters.entry(removed.kept).or_default() += 1;
        }
        println!(
            "{domain:13} {:9} {:8} {megabytes:4.0} {cut:11.0} {sign:10.0} {seconds:15.2} {:16}",
            documents.len(),
            removed.len(),
            clusters.values().max().copied().unwrap_or(0) + 1,
        );
        if let Some(out) = out {
            fs_err::create_dir_all(out)?;
            // Per document: the number of its shingles (u32) and the shingles (u64), little-endian.
            let mut file = BufWriter::new(fs_err::File::create(out.join(format!("{domain}.shingles")))?);
            for document in &documents {
                let set = corpus::shingles(&mut words, &document.text, 5);
                file.write_all(&u32::try_from(set.len())?.to_le_bytes())?;
                for shingle in set {
                    file.write_all(&shingle.to_le_bytes())?;
                }
            }
            file.flush()?;
            let mut file = BufWriter::new(fs_err::File::create(out.join(format!("{domain}.removed.jsonl")))?);
            for removed in &removed {
                let row = serde_json::json!({
                    "document": removed.document, "kept": removed.kept,
                    "intersection": removed.intersection, "union": removed.union,
                });
                writeln!(file, "{row}")?;
            }
            file.flush()?;
        }
    }
    fs_err::remove_dir_all(&scratch)?;
    Ok(())
}
