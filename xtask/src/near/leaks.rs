//! Documents in which benchmark items stand: planted ones, and others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use num_rational::BigRational;
use syllabus::ingest::contaminate::{Benchmarks, Leak};
use xxhash_rust::xxh3::xxh3_64;

use super::corpus::{self, DOMAINS, Document};

/// What marks the sources with planted leaks.
const PLANTED: &str = "(CONTAMINATION)";

/// Planted documents of a domain, and how many of them must be found when one n-gram suffices.
const MUST: [(&str, usize, usize); 2] = [("maths", 742, 742), ("code", 790, 700)];

pub fn run(data: &Path, show: usize) -> Result<()> {
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(data.join("eval"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let corpora: Vec<(&str, Vec<Document>)> =
        DOMAINS.into_iter().map(|domain| Ok((domain, corpus::read(data, domain)?))).collect::<Result<_>>()?;
    for coverage in [None, Some(BigRational::new(1.into(), 2.into()))] {
        let start = Instant::now();
        let benchmarks = Benchmarks::load(&files, &["text".into()], 13, coverage.as_ref())?;
        let name = if coverage.is_some() { "coverage 50%" } else { "coverage any" };
        println!("{name}: {:?}, loaded in {:.2} s", benchmarks.summary(), start.elapsed().as_secs_f64());
        println!("domain        planted   found  others   found  MB/s  by benchmark");
        let mut scratch = benchmarks.scratch();
        for (domain, documents) in &corpora {
            let start = Instant::now();
            let leaks: Vec<Option<Leak>> = documents.iter().map(|d| benchmarks.check(&mut scratch, &d.text)).collect();
            let bytes: usize = documents.iter().map(|d| d.text.len()).sum();
            let speed = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
            let planted = documents.iter().filter(|d| d.source.contains(PLANTED)).count();
            let mut found = 0;
            let mut others: Vec<(&Document, &Leak)> = Vec::new();
            for (document, leak) in documents.iter().zip(&leaks) {
                match leak {
                    Some(_) if document.source.contains(PLANTED) => found += 1,
                    Some(leak) => others.push((document, leak)),
                    None => {}
                }
            }
            let mut by: BTreeMap<&str, u64> = BTreeMap::new();
            for (_, leak) in &others {
                *by.entry(leak.benchmark.as_str()).or_default() += 1;
            }
            let rest = documents.len() - planted;
            println!("{domain:13} {planted:7} {found:7} {rest:7} {:7} {speed:5.0}  {by:?}", others.len());
            others.sort_by_key(|(document, _)| xxh3_64(document.text.as_bytes()));
            for (document, leak) in others.into_iter().take(show) {
                let start = usize::try_from(leak.offset)?;
                let around: String = document.text[start..].chars().take(160).collect();
                println!(
                    "    {}: {} {} of {}: {:?}\n        in: {around:?}",
                    document.source, leak.item, leak.matched, leak.total, leak.ngram
                );
            }
            if coverage.is_none()
                && let Some((_, all, must)) = MUST.iter().find(|(of, ..)| of == domain)
            {
                ensure!(planted == *all, "{domain}: {planted} planted documents, not {all}");
                ensure!(found >= *must, "{domain}: {found} of {planted} planted leaks found, at least {must} must be");
            }
        }
    }
    Ok(())
}
