//! Promise 2: the ledger balances, and it says what the generator planted.

use std::collections::BTreeMap;

use crate::harness::{self, Place};
use crate::rows;

/// Documents and tokens of the ledger by source and outcome, over phases and epochs.
struct Sums(BTreeMap<(String, String), (u64, u64)>);

impl Sums {
    fn read(place: &Place, out: &str) -> Self {
        let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for row in rows::read(&place.path(out).join("ledger.parquet")) {
            let (source, outcome) = (rows::text(&row, "source").unwrap(), rows::text(&row, "outcome").unwrap());
            let sum = sums.entry((source.to_owned(), outcome.to_owned())).or_default();
            sum.0 += rows::number(&row, "documents").unwrap_or(0);
            sum.1 += rows::number(&row, "tokens").unwrap_or(0);
        }
        Self(sums)
    }

    fn documents(&self, source: &str, outcome: &str) -> u64 {
        self.find(source, outcome, |sum| sum.0)
    }

    fn tokens(&self, source: &str, outcome: &str) -> u64 {
        self.find(source, outcome, |sum| sum.1)
    }

    fn find(&self, source: &str, outcome: &str, part: impl Fn(&(u64, u64)) -> u64) -> u64 {
        let lines = self
            .0
            .iter()
            .filter(|((of, came), _)| of == source && (came == outcome || came.starts_with(&format!("{outcome}:"))));
        lines.map(|(_, sum)| part(sum)).sum()
    }
}

#[test]
fn the_demo_accounts_for_every_row_that_was_planted() {
    let place = Place::new();
    place.write("curriculum.yaml", harness::demo(harness::fixtures().join("corpora").to_str().unwrap()));
    place.compile("out", &[]).expect(0);
    let sums = Sums::read(&place, "out");
    let planted = fs_err::read_to_string(harness::fixtures().join("planted.json")).unwrap();
    let planted: Vec<serde_json::Value> = serde_json::from_str(&planted).unwrap();
    for source in &planted {
        let name = source["source"].as_str().unwrap();
        for (outcome, said) in [("read", "rows"), ("filtered", "filtered"), ("empty", "empty"), ("exact", "exact")] {
            assert_eq!(sums.documents(name, outcome), source[said].as_u64().unwrap(), "{name}: {outcome}");
        }
        for nothing in ["bad", "near", "contaminated", "near_validation"] {
            assert_eq!(sums.documents(name, nothing), 0, "{name}: {nothing}");
        }
        let kept = source["documents"].as_u64().unwrap();
        assert_eq!(sums.documents(name, "held_out") + sums.documents(name, "survived"), kept, "{name}");
    }
}

/// The demo has a source read more than once, one read in part and one held out in part; here each equation of tokens
/// is added up against the manifest.
#[test]
fn tokens_emitted_are_the_tokens_in_the_windows() {
    for packing in ["concat", "best_fit"] {
        let place = Place::new();
        let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
        place.write("curriculum.yaml", text.replace("packing: concat", &format!("packing: {packing}")));
        place.compile("out", &[]).expect(0);
        let manifest = place.manifest("out");
        let mut windows: BTreeMap<String, u64> = BTreeMap::new();
        let mut padding: BTreeMap<String, u64> = BTreeMap::new();
        let mut fragments: BTreeMap<String, u64> = BTreeMap::new();
        let mut width = 0;
        let dataset = syllabus_reader::Dataset::open(place.path("out")).unwrap();
        for phase in manifest["phases"].as_array().unwrap() {
            width = phase["window_tokens"].as_u64().unwrap();
            for source in phase["sources"].as_array().unwrap() {
                *windows.entry(source["name"].as_str().unwrap().to_owned()).or_default() +=
                    source["windows"].as_u64().unwrap();
            }
        }
        for at in 0..dataset.len() {
            let window = dataset.window(at).unwrap();
            *padding.entry(window.source.to_owned()).or_default() += u64::from(window.padding);
            let lengths = (0..window.fragments.len()).map(|at| u64::from(window.fragments.get(at).unwrap().length));
            *fragments.entry(window.source.to_owned()).or_default() += lengths.sum::<u64>();
        }
        let sums = Sums::read(&place, "out");
        for (source, count) in &windows {
            let tokens = count * width - padding[source];
            assert_eq!(tokens, fragments[source], "{source}");
            assert_eq!(sums.tokens(source, "emitted"), tokens, "{source}, {packing}");
        }
    }
}
