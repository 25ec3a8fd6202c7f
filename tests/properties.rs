//! Random small corpora and curricula, compiled, and held to what brute force makes of their rows.
//!
//! Nothing here uses the compiler's own judge, dedup, mix or ledger: rows are judged again (`model`), and the dataset is read
//! with the reader. `SYLLABUS_CASES=500` tries more cases than the usual ones.

mod generate;
mod model;
mod similar;

use std::collections::BTreeMap;
use std::path::Path;

use num_rational::BigRational;
use num_traits::{One, Signed};
use syllabus::compile::{Options, compile, progress::Silent};
use syllabus::error::Error;
use syllabus::ingest::Watch;
use syllabus_reader::{Dataset, Window};

use crate::fixtures::reference;
use crate::harness::{Place, assert_same_dataset};
use crate::rows;
use generate::{Case, LARGE_FROM, Phase, Random};
use model::{Document, Fate, Gone, Key};

/// The case of this seed, with phases whose budgets mostly fit what the sources have.
fn case(seed: u64) -> (Case, Vec<Fate>) {
    let mut case = generate::corpus(seed);
    let fates = model::fates(&case);
    let sizes: Vec<u64> = fates.iter().map(Fate::unique).collect();
    let total: u64 = sizes.iter().sum();
    let mut random = Random(!seed);
    let random = &mut random;
    if total == 0 {
        return (case, fates);
    }
    let number = random.within(1, 3);
    let (one_length, one_packing) = (random.once_in(2), random.once_in(2));
    let longest = random.pick(&[10, 20, 64]);
    let mut shape = (random.within(8, longest), random.once_in(2));
    let epochs = random.pick(&[1, 3, 8, 24]);
    for _ in 0..number {
        let from = generate::mix(random, &case, &sizes);
        let to = random.once_in(2).then(|| generate::mix(random, &case, &sizes));
        case.phases.push(Phase {
            tokens: (total * epochs / (4 * number)).max(shape.0),
            until: random.once_in(3),
            from,
            to,
            sequence_length: shape.0,
            best_fit: shape.1,
            allow_zero: random.once_in(2),
        });
        if !one_length {
            shape.0 = random.within(8, longest);
        }
        if !one_packing {
            shape.1 = random.once_in(2);
        }
    }
    // Fit the budgets to what is there, but for a few cases.
    if !random.once_in(10) {
        for _ in 0..40 {
            if model::excuse(&case, &fates).is_none() {
                break;
            }
            for phase in &mut case.phases {
                phase.allow_zero = true;
                phase.tokens = (phase.tokens * 4 / 5).max(phase.sequence_length);
            }
        }
    }
    (case, fates)
}

/// Writes the case's files; how they are split and named depends on `salt` alone.
fn write(place: &Place, case: &Case, salt: u64, files: u64) {
    place.write("curriculum.yaml", case.yaml());
    for (path, lines) in case.files(&mut Random(salt), files, if salt.is_multiple_of(2) { "a" } else { "z" }) {
        place.write(&path, lines);
    }
}

fn options(out: &Path, threads: usize, segment_bytes: Option<u64>) -> Options {
    Options {
        out: out.to_owned(),
        data: None,
        phases: Vec::new(),
        scale: BigRational::one(),
        thin: None,
        scratch: None,
        memory: 1 << 30,
        threads,
        work: None,
        segment_bytes,
    }
}

/// Compiles in process; an error says why that is not feasible.
fn compiles(place: &Place, case: &Case, options: &Options) -> Result<(), String> {
    let done = syllabus::curriculum::load(&place.path("curriculum.yaml"), false)
        .and_then(|loaded| compile(&loaded, options, &Watch::default(), &Silent));
    match done {
        Ok(_) => Ok(()),
        Err(Error::Infeasible { rendered, .. }) => Err(rendered),
        Err(Error::Curriculum { rendered, .. }) => panic!("seed {}: {rendered}\n{}", case.seed, case.yaml()),
        Err(error) => panic!("seed {}: {error}\n{}", case.seed, case.yaml()),
    }
}

/// What the windows of the phases hold.
#[derive(Default)]
struct Reads {
    /// How often each token of a document was read, by source, epoch and key.
    tokens: BTreeMap<(usize, u64, Key), Vec<u64>>,
    /// Tokens by source, phase and epoch.
    emitted: BTreeMap<(usize, usize, u64), u64>,
    /// Padding and windows by source and phase.
    padding: BTreeMap<(usize, usize), u64>,
    windows: BTreeMap<(usize, usize), u64>,
}

/// One case under test.
struct Check<'a> {
    case: &'a Case,
    fates: &'a [Fate],
    dataset: Dataset,
    pad: u32,
}

impl Check<'_> {
    /// Holds a window to its documents, found by source and key, and hands each fragment over: document, key, offset,
    /// length and epoch.
    fn fragments<'d>(
        &self,
        window: &Window<'_>,
        find: impl Fn(&Key) -> Option<&'d Document>,
        mut each: impl FnMut(&'d Document, Key, usize, usize, u64),
    ) {
        let place = format!("{} window {}", window.phase, window.index);
        let tokens = window.tokens.to_vec();
        let mut end = 0;
        for number in 0..window.fragments.len() {
            let fragment = window.fragments.get(number).unwrap();
            let [start, length, offset] =
                [fragment.start, fragment.length, fragment.offset].map(|n| usize::try_from(n).unwrap());
            assert!(start == end && length > 0, "{place}: fragments tile the window");
            end += length;
            let document = find(&fragment.document.0)
                .unwrap_or_else(|| panic!("{place}: a document of {} that does not belong here", window.source));
            assert_eq!(tokens[start..end], document.ids[offset..offset + length], "{place}, fragment {number}");
            each(document, fragment.document.0, offset, length, u64::from(fragment.epoch));
        }
        assert_eq!(tokens.len() - end, usize::try_from(window.padding).unwrap(), "{place}: padding");
        assert!(tokens[end..].iter().all(|id| *id == self.pad), "{place}: padding");
        assert!(end > 0, "{place}: nothing but padding");
    }

    fn phases(&self) -> Reads {
        let sizes: Vec<u64> = self.fates.iter().map(Fate::unique).collect();
        let held_out = model::all_held_out(self.fates);
        let mut reads = Reads::default();
        assert_eq!(self.dataset.phases().len(), self.case.phases.len());
        let shape = |phase: &Phase| (phase.sequence_length, phase.best_fit);
        let steady = self.case.phases.windows(2).all(|pair| shape(&pair[0]) == shape(&pair[1]));
        for (number, (phase, set)) in self.case.phases.iter().zip(self.dataset.phases()).enumerate() {
            let ramps = model::ramps(self.case, phase, &sizes).expect("shares that can be had");
            let sources = ramps.iter().filter(|(from, to)| from.is_positive() || to.is_positive()).count();
            let bound = BigRational::one() - BigRational::new(1.into(), (2 * sources.max(2) - 2).into());
            let mut counts = vec![0_u64; ramps.len()];
            assert_eq!(set.len(), phase.windows(), "p{number}: its budget");
            let width = self.case.window(phase);
            for at in 0..set.len() {
                let window = set.window(at).unwrap();
                let source = usize::try_from(window.source_index).unwrap();
                assert_eq!(window.source, self.case.sources[source].name);
                assert_eq!(window.tokens.len() as u64, width, "p{number}: W");
                assert!(window.padding == 0 || phase.best_fit, "p{number}: padding");
                let find = |key: &Key| self.fates[source].survivors.get(key);
                self.fragments(&window, find, |document, key, offset, length, epoch| {
                    assert!(!held_out.contains(&key), "p{number}: a text that is held out is trained on");
                    let whole = offset == 0 && length == document.ids.len();
                    let fits = document.ids.len() as u64 <= width;
                    assert!(whole || !fits || !phase.best_fit || !steady, "p{number}: a document that fits is cut");
                    let counts =
                        reads.tokens.entry((source, epoch, key)).or_insert_with(|| vec![0; document.ids.len()]);
                    counts[offset..offset + length].iter_mut().for_each(|count| *count += 1);
                    *reads.emitted.entry((source, number, epoch)).or_default() += length as u64;
                });
                *reads.padding.entry((source, number)).or_default() += u64::from(window.padding);
                *reads.windows.entry((source, number)).or_default() += 1;
                counts[source] += 1;
                if (at + 1) % 256 == 0 || at + 1 == set.len() {
                    for (source, ramp) in ramps.iter().enumerate() {
                        let count = BigRational::from_integer(counts[source].into());
                        let off = (model::quota(ramp, at + 1, set.len()) - count).abs();
                        assert!(
                            off <= bound && (sources > 1 || off == BigRational::from_integer(0.into())),
                            "p{number}: source {source} is {off} windows off its share after {}",
                            at + 1
                        );
                    }
                }
            }
        }
        reads
    }

    /// Every epoch before the last begun is whole, and no token is read again before all others are.
    fn epochs(&self, reads: &Reads) {
        let mut last: BTreeMap<usize, u64> = BTreeMap::new();
        for ((source, epoch, key), counts) in &reads.tokens {
            let copies = self.fates[*source].survivors[key].copies;
            assert!(counts.iter().all(|count| *count <= copies), "source {source}: a token twice in epoch {epoch}");
            let last = last.entry(*source).or_default();
            *last = (*last).max(*epoch);
        }
        for (source, last) in last {
            assert!(
                self.case.epochs(source).is_none_or(|epochs| last < epochs),
                "source {source}: more epochs than it may"
            );
            for epoch in 0..last {
                for (key, document) in &self.fates[source].survivors {
                    let counts = reads.tokens.get(&(source, epoch, *key));
                    let whole = counts.is_some_and(|counts| counts.iter().all(|count| *count == document.copies));
                    assert!(whole, "source {source}: epoch {epoch} is over, but a document was not read whole");
                }
            }
        }
    }

    /// Each held-out document once, from first token to last, and no other.
    fn validation(&self) {
        let mut found: BTreeMap<(usize, Key), u64> = BTreeMap::new();
        for set in self.dataset.validation() {
            for at in 0..set.len() {
                let window = set.window(at).unwrap();
                let source = usize::try_from(window.source_index).unwrap();
                assert_eq!(set.name(), format!("validation/{}", self.case.sources[source].name));
                let find = |key: &Key| self.fates[source].held_out.get(key);
                self.fragments(&window, find, |document, key, offset, length, _| {
                    let read = found.entry((source, key)).or_default();
                    assert_eq!(
                        *read % document.ids.len() as u64,
                        offset as u64,
                        "held-out documents are read in order"
                    );
                    *read += length as u64;
                });
            }
        }
        let expected: BTreeMap<(usize, Key), u64> = (self.fates.iter().enumerate())
            .flat_map(|(source, fate)| fate.held_out.iter().map(move |(key, document)| (source, *key, document)))
            .map(|(source, key, document)| ((source, key), document.copies * document.ids.len() as u64))
            .collect();
        assert_eq!(found, expected, "held-out documents and their tokens");
    }

    fn ledger(&self, out: &Path, reads: &Reads) {
        let ledger = rows::read(&out.join("ledger.parquet"));
        let sum = |source: usize, outcome: &str, phase: Option<usize>, epoch: Option<u64>, column: &str| -> u64 {
            let phase = phase.map(|phase| format!("p{phase}"));
            let line = |row: &&rows::Row| {
                rows::text(row, "source") == Some(&self.case.sources[source].name)
                    && rows::text(row, "outcome") == Some(outcome)
                    && rows::text(row, "phase") == phase.as_deref()
                    && rows::number(row, "epoch") == epoch
            };
            ledger.iter().filter(line).filter_map(|row| rows::number(row, column)).sum()
        };
        for (source, fate) in self.fates.iter().enumerate() {
            for outcome in [
                "read",
                "bad",
                "empty",
                "exact",
                "held_out",
                "survived",
                "near",
                "near_validation",
                "contaminated",
                "filtered:where",
                "filtered:min_bytes",
                "filtered:max_bytes",
                "filtered:min_chars",
                "filtered:max_chars",
            ] {
                let expected = fate.documents.get(outcome).copied().unwrap_or(0);
                assert_eq!(sum(source, outcome, None, None, "documents"), expected, "source {source}: {outcome}");
            }
            for outcome in ["tokenized", "exact", "near", "near_validation", "held_out", "survived"] {
                let expected = fate.tokens.get(outcome).copied().unwrap_or(0);
                assert_eq!(sum(source, outcome, None, None, "tokens"), expected, "source {source}: {outcome} tokens");
            }
            let bytes: u64 = fate.survivors.values().map(|document| document.copies * document.bytes).sum();
            assert_eq!(sum(source, "survived", None, None, "bytes"), bytes, "source {source}: bytes");

            let survived = fate.documents.get("survived").copied().unwrap_or(0);
            let (emitted, unused) =
                (sum(source, "emitted", None, None, "documents"), sum(source, "unused", None, None, "documents"));
            assert_eq!(emitted + unused, survived, "source {source}: documents");
            if self.case.exact {
                let met = fate.survivors.keys().filter(|key| {
                    reads.tokens.range((source, 0, **key)..=(source, 0, **key)).next().is_some()
                        || reads.tokens.keys().any(|(of, _, met)| *of == source && met == *key)
                });
                assert_eq!(emitted, met.count() as u64, "source {source}: documents emitted");
            }
            let last = reads.emitted.keys().filter(|(of, ..)| *of == source).map(|(.., epoch)| *epoch).max();
            for epoch in 0..=last.unwrap_or(0) {
                let mut read = 0;
                for phase in 0..self.case.phases.len() {
                    let here = reads.emitted.get(&(source, phase, epoch)).copied().unwrap_or(0);
                    let said = sum(source, "emitted", Some(phase), Some(epoch), "tokens");
                    assert_eq!(said, here, "source {source}: emitted of epoch {epoch} in p{phase}");
                    read += here;
                }
                let unused = sum(source, "unused", None, Some(epoch), "tokens");
                assert_eq!(read + unused, fate.unique(), "source {source}: tokens of epoch {epoch}");
                assert!(unused == 0 || Some(epoch) == last || last.is_none());
                assert_eq!(sum(source, "truncated", None, Some(epoch), "tokens"), 0);
            }
            for (number, phase) in self.case.phases.iter().enumerate() {
                let of = (source, number);
                let padding = reads.padding.get(&of).copied().unwrap_or(0);
                assert_eq!(sum(source, "padding", Some(number), None, "tokens"), padding, "{of:?}: padding");
                let epochs = reads.emitted.range((source, number, 0)..=(source, number, u64::MAX));
                let stored = epochs.map(|(_, tokens)| tokens).sum::<u64>() + padding;
                assert_eq!(stored, reads.windows.get(&of).copied().unwrap_or(0) * self.case.window(phase));
            }
        }
        // No line that was not looked at.
        let known = |row: &rows::Row| {
            let outcome = rows::text(row, "outcome").unwrap();
            outcome != "other_phases"
                && rows::number(row, "epoch")
                    .is_none_or(|epoch| reads.emitted.keys().map(|(.., epoch)| *epoch).max().unwrap_or(0) >= epoch)
        };
        assert!(ledger.iter().all(known), "a line of no epoch that was read");
    }

    fn removed(&self, out: &Path) {
        let key = |hex: &str| u128::from_str_radix(hex, 16).unwrap().to_be_bytes();
        let mut found: BTreeMap<String, Vec<Gone>> = BTreeMap::new();
        for row in rows::read(&out.join("removed.parquet")) {
            let text = |column| rows::text(&row, column);
            let reasons = ["exact", "near", "near_validation", "contaminated"];
            found.entry(text("source").unwrap().to_owned()).or_default().push(Gone {
                document: key(text("document").unwrap()),
                reason: reasons.into_iter().find(|reason| text("reason") == Some(reason)).unwrap(),
                kept: text("kept").map(key),
                similarity: row["similarity"].as_f64().unwrap(),
            });
        }
        for (source, fate) in self.case.sources.iter().zip(self.fates) {
            let mut found = found.remove(&source.name).unwrap_or_default();
            found.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(found, fate.removed, "removed of {}", source.name);
        }
    }
}

fn check(case: &Case, fates: &[Fate], out: &Path) {
    let dataset = Dataset::open(out).unwrap();
    let tokenizer = reference(case.framing.tokenizer);
    let pad = case.framing.pad.or(case.framing.eos).unwrap();
    let check = Check { case, fates, dataset, pad: tokenizer.token_to_id(pad).unwrap() };
    for (summary, fate) in check.dataset.manifest().sources.iter().zip(fates) {
        assert_eq!(summary.tokens, fate.unique(), "{}: unique tokens", summary.name);
    }
    let reads = check.phases();
    check.epochs(&reads);
    check.validation();
    check.ledger(out, &reads);
    check.removed(out);
    let report = syllabus::verify::run(out, false, &|_| ()).unwrap();
    assert_eq!((report.findings, report.not_checked), (Vec::new(), Vec::new()), "verify");
}

/// Seeds to try.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    0..std::env::var("SYLLABUS_CASES").map_or(usual, |cases| cases.parse().expect("a number of cases"))
}

/// Tells the seed and the curriculum of a case that fails.
struct Told<'a>(&'a Case);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}:\n{}", self.0.seed, self.0.yaml());
        }
    }
}

#[test]
fn a_dataset_is_what_brute_force_makes_of_its_rows() {
    let (mut compiled, mut epochs, mut blocks) = (0, 0, 0);
    let seeds = seeds(LARGE_FROM + 8);
    let all = seeds.end;
    for seed in seeds {
        let (case, fates) = case(seed);
        let _told = Told(&case);
        let place = Place::new();
        write(&place, &case, seed, 3);
        let out = place.path("out");
        if let Err(refusal) = compiles(&place, &case, &options(&out, 2, None)) {
            let excuse = model::excuse(&case, &fates);
            assert!(excuse.is_some(), "refused, though there is enough of everything:\n{refusal}");
        } else {
            check(&case, &fates, &out);
            compiled += 1;
            let dataset = Dataset::open(&out).unwrap();
            blocks += u64::from(dataset.phases().iter().any(|set| set.len() > 256));
            let repeats = (0..dataset.len()).any(|at| {
                let window = dataset.window(at).unwrap();
                (0..window.fragments.len()).any(|number| window.fragments.get(number).unwrap().epoch > 0)
            });
            epochs += u64::from(repeats);
        }
    }
    println!("{compiled} of {all} cases compile; {epochs} with several epochs, {blocks} with several blocks");
    assert!(2 * compiled >= all && 4 * epochs >= all && 8 * blocks >= all, "the cases have lost their bite");
}

#[test]
fn rows_in_another_order_and_other_files_give_the_same_dataset() {
    let mut compiled = 0;
    let seeds = seeds(8);
    let all = seeds.end;
    for seed in seeds {
        let (mut case, _) = case(seed + 1_000_000);
        let place = Place::new();
        write(&place, &case, 2 * seed, 2);
        let first = compiles(&place, &case, &options(&place.path("out"), 2, None));
        let other = Place::new();
        let mut random = Random(seed);
        case.sources.iter_mut().for_each(|source| random.shuffle(&mut source.rows));
        write(&other, &case, 2 * seed + 1, 9);
        let segment = [Some(1), Some(200), Some(3000), None][usize::try_from(seed % 4).unwrap()];
        let second = compiles(&other, &case, &options(&other.path("out"), 1 + usize::from(seed % 3 == 0) * 2, segment));
        let _told = Told(&case);
        assert_eq!(first, second, "feasible only once, or refused in other words");
        if first.is_ok() {
            assert_eq!(place.digest("out"), other.digest("out"));
            assert_same_dataset(&place.path("out"), &other.path("out"));
            compiled += 1;
        }
    }
    assert!(2 * compiled >= all, "{compiled} of {all} cases compile");
}
