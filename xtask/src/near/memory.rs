//! The whole corpus several times over with small edits, under a memory limit: texts lie in a file, so what the process holds is what
//! the search holds.

use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use syllabus::dedup::near::{
    Bands, NearDocument, NearDocuments, NearOptions, Signature, Signer, Threshold, removed as near_removed,
};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::corpus::{self, DOMAINS};

/// Documents in a file.
struct OnDisk {
    file: fs_err::File,
    places: Vec<Place>,
}

struct Place {
    offset: u64,
    bytes: u32,
    scope: u32,
    key: u128,
}

impl OnDisk {
    fn place(&self, number: u64) -> syllabus::Result<&Place> {
        let place = usize::try_from(number).ok().and_then(|number| self.places.get(number));
        place.ok_or_else(|| syllabus::Error::Failed(format!("no document {number}")))
    }
}

impl NearDocuments for OnDisk {
    fn count(&self) -> u64 {
        self.places.len() as u64
    }

    fn document(&self, number: u64) -> syllabus::Result<NearDocument> {
        let &Place { bytes, scope, key, .. } = self.place(number)?;
        Ok(NearDocument { scope, held_out: false, exempt: false, priority: 0, bytes: u64::from(bytes), key })
    }

    fn signatures(
        &self,
        _part: usize,
        each: &mut dyn FnMut(u64, &Signature) -> syllabus::Result<()>,
    ) -> syllabus::Result<()> {
        let mut signer = Signer::new(5);
        let mut text = String::new();
        (0..self.count()).try_for_each(|number| {
            text.clear();
            self.text(number, &mut text)?;
            each(number, &signer.sign(&text))
        })
    }

    fn text(&self, number: u64, text: &mut String) -> syllabus::Result<()> {
        let place = self.place(number)?;
        let mut bytes = vec![0; place.bytes as usize];
        self.file.file().read_exact_at(&mut bytes, place.offset)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}

pub fn run(data: &Path, copies: u64, memory: u64, threads: usize) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("syllabus-near-{}", std::process::id()));
    fs_err::create_dir_all(&folder)?;
    let path = folder.join("texts");
    let mut out = BufWriter::new(fs_err::File::create(&path)?);
    let (mut places, mut offset) = (Vec::new(), 0);
    for (scope, domain) in (0_u32..).zip(DOMAINS) {
        let mut documents = corpus::read(data, domain)?;
        corpus::distinct(&mut documents);
        for document in documents {
            for copy in 0..copies {
                let text = edit(&document.text, copy);
                out.write_all(text.as_bytes())?;
                let bytes = u32::try_from(text.len())?;
                places.push(Place { offset, bytes, scope, key: xxh3_128(text.as_bytes()) });
                offset += u64::from(bytes);
            }
        }
    }
    out.flush()?;
    let documents = OnDisk { file: fs_err::File::open(&path)?, places };
    let before = reset_peak()?;
    println!(
        "{} documents, {} MB of text, {} MB before the search",
        documents.count(),
        offset / 1_000_000,
        before >> 20
    );
    let threshold = Threshold::new(8, 10)?;
    let options = NearOptions { threshold, shingle: 5, bands: Bands::for_threshold(threshold) };
    let start = Instant::now();
    let removed = near_removed(&documents, &options, &folder, memory, threads)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = status("VmHWM:")?;
    let digest = removed.iter().fold(0, |digest, r| {
        let key = |number: u64| usize::try_from(number).ok().and_then(|n| documents.places.get(n)).map_or(0, |p| p.key);
        let row = format!("{:x} {:x} {} {}", key(r.document), key(r.kept), r.intersection, r.union);
        digest ^ xxh3_128(row.as_bytes())
    });
    println!(
        "{} removed in {seconds:.1} s with {threads} threads (result {digest:032x}); peak {} MB more, {} MB allowed",
        removed.len(),
        peak.saturating_sub(before) >> 20,
        memory >> 20
    );
    fs_err::remove_dir_all(&folder)?;
    // The result is beside it: 40 bytes a document, in a vector that doubles.
    let result = 80 * removed.len() as u64;
    ensure!(peak <= before + memory + result, "too much memory");
    Ok(())
}

/// A copy of which about one word in three hundred is another one.
fn edit(text: &str, copy: u64) -> String {
    if copy == 0 {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 64);
    for (at, word) in text.split_inclusive(' ').enumerate() {
        let dice = xxh3_64_with_seed(word.as_bytes(), copy ^ (at as u64) << 8);
        if dice.is_multiple_of(300) {
            out.push_str(&format!("e{} ", dice >> 40));
        } else {
            out.push_str(word);
        }
    }
    out.push_str(&format!(" copy {copy}"));
    out
}

/// Resets the process's peak; gives back what it holds.
fn reset_peak() -> Result<u64> {
    fs_err::write("/proc/self/clear_refs", "5")?;
    status("VmRSS:")
}

fn status(field: &str) -> Result<u64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
