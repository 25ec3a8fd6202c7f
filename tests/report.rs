//! The mix report: every figure of what was emitted against the shards, read by the reader alone, and every loss against the
//! rows of the sources; the ledger is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use syllabus_reader::Dataset;

use crate::harness::{self, Place};
use crate::rows;

fn demo(packing: &str) -> Place {
    let place = Place::new();
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    place.write("curriculum.yaml", text.replace("packing: concat", &format!("packing: {packing}")));
    place.compile("out", &[]).expect(0);
    place
}

fn report(place: &Place, out: &str) -> Value {
    let text = fs_err::read_to_string(place.path(out).join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// A window, as the reader tells it.
struct Window {
    phase: usize,
    source: usize,
    padding: u64,
    /// Key, end in the document, epoch.
    fragments: Vec<(u128, u64, u32)>,
}

fn windows(place: &Place, report: &Value) -> Vec<Window> {
    let dataset = Dataset::open(place.path("out")).unwrap();
    let phases: Vec<&str> = list(&report["phases"]).iter().map(name).collect();
    let sources: Vec<&str> = list(&report["sources"]).iter().map(name).collect();
    (0..dataset.len())
        .map(|at| {
            let window = dataset.window(at).unwrap();
            Window {
                phase: phases.iter().position(|phase| *phase == window.phase).unwrap(),
                source: sources.iter().position(|source| *source == window.source).unwrap(),
                padding: window.padding.into(),
                fragments: window
                    .fragments
                    .map(|of| (of.document.into(), u64::from(of.offset) + u64::from(of.length), of.epoch))
                    .collect(),
            }
        })
        .collect()
}

/// The planned share of a source after `n` of `all` windows, summed: its quota.
fn due(source: &Value, n: f64, all: f64) -> f64 {
    let (from, to) = (source["share_from"].as_f64().unwrap(), source["share_to"].as_f64().unwrap());
    from * n + (to - from) * n * n / (2.0 * all)
}

fn buckets(values: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value.ilog2()).or_default() += 1);
    counts.into_iter().map(|(power, count)| (1 << power, count)).collect()
}

fn told(buckets: &Value) -> Vec<(u64, u64)> {
    let all = list(buckets).iter().map(|bucket| (number(&bucket["from"]), number(&bucket["count"])));
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn every_emitted_figure_is_that_of_the_shards() {
    for packing in ["concat", "best_fit"] {
        let place = demo(packing);
        let report = report(&place, "out");
        let windows = windows(&place, &report);
        let phases = list(&report["phases"]);
        assert_eq!(number(&report["windows"]), windows.len() as u64);
        let mut all_tokens = 0;
        let mut stored = BTreeMap::<usize, u64>::new();
        for (index, phase) in phases.iter().enumerate() {
            let here: Vec<&Window> = windows.iter().filter(|window| window.phase == index).collect();
            let (s, w) = (number(&phase["sequence_length"]), number(&phase["window_tokens"]));
            all_tokens += here.len() as u64 * s;
            assert_eq!(number(&phase["windows"]), here.len() as u64);
            assert_eq!(number(&phase["tokens"]), here.len() as u64 * s);
            let first = windows.iter().position(|window| window.phase == index).unwrap();
            assert_eq!(number(&phase["first_window"]), first as u64);
            let listed: BTreeSet<&str> = list(&phase["sources"]).iter().map(name).collect();
            for (source, of) in list(&report["sources"]).iter().enumerate() {
                let mine: Vec<&&Window> = here.iter().filter(|window| window.source == source).collect();
                *stored.entry(source).or_default() += mine.len() as u64 * w;
                assert!(listed.contains(name(of)) || mine.is_empty());
                let Some(part) = list(&phase["sources"]).iter().find(|part| name(part) == name(of)) else { continue };
                assert_eq!(number(&part["windows"]), mine.len() as u64);
                assert_eq!(number(&part["tokens"]), mine.len() as u64 * s);
                assert_eq!(number(&part["padding"]), mine.iter().map(|window| window.padding).sum::<u64>());
                let keys: BTreeSet<u128> = mine.iter().flat_map(|w| w.fragments.iter().map(|of| of.0)).collect();
                assert_eq!(number(&part["documents"]), keys.len() as u64, "{packing}: {}", name(of));
                let got = part["got"].as_f64().unwrap();
                assert!((got - mine.len() as f64 / here.len() as f64).abs() < 1e-12);
                let off = mine.len() as f64 - due(part, here.len() as f64, here.len() as f64);
                assert!((part["windows_off"].as_f64().unwrap() - off).abs() < 1e-6);
                let epochs = stored[&source] as f64 / number(&of["size"]["tokens"]) as f64;
                assert!((part["epochs"].as_f64().unwrap() - epochs).abs() < 1e-12);
                check_drift(part, source, &here);
            }
        }
        assert_eq!(number(&report["tokens"]), all_tokens);
        check_bins(&report, &windows);
        check_documents(&report, &windows);
        check_concentration(&report, &windows);
        check_tokens(&report, &windows);
    }
}

/// The largest deviation at block borders and in any 1,024 windows, by looking at all of them.
fn check_drift(part: &Value, source: usize, here: &[&Window]) {
    let all = here.len();
    let mut before = vec![0_u64];
    for window in here {
        before.push(before.last().unwrap() + u64::from(window.source == source));
    }
    let off = |from: usize, to: usize| {
        (before[to] - before[from]) as f64 - (due(part, to as f64, all as f64) - due(part, from as f64, all as f64))
    };
    let borders = (1..=all).filter(|at| at % 256 == 0 || *at == all).map(|at| off(0, at).abs()).fold(0.0, f64::max);
    let span = all.min(1024);
    let spans = (0..=all - span).map(|at| off(at, at + span).abs()).fold(0.0, f64::max);
    let drift = &part["drift"];
    let told = |figure: &str| drift[figure].as_f64().unwrap();
    assert!((told("border").abs() - borders).abs() < 1e-5, "border: {drift} is not {borders}");
    assert!((told("span").abs() - spans).abs() < 1e-5, "span: {drift} is not {spans}");
    let at = |figure: &str| usize::try_from(number(&drift[figure])).unwrap();
    assert!((off(0, at("border_after")) - told("border")).abs() < 1e-6, "{drift} is not at its place");
    assert!((off(at("span_from"), at("span_from") + span) - told("span")).abs() < 1e-6, "{drift} is not at its place");
}

fn check_bins(report: &Value, windows: &[Window]) {
    let mut next = 0;
    for bin in list(&report["bins"]) {
        assert_eq!(number(&bin["first_window"]), next);
        let from = usize::try_from(next).unwrap();
        next += number(&bin["windows"]);
        let run = &windows[from..usize::try_from(next).unwrap()];
        assert!(run.iter().all(|window| window.phase as u64 == number(&bin["phase"])));
        for (source, count) in list(&bin["sources"]).iter().enumerate() {
            assert_eq!(number(count), run.iter().filter(|window| window.source == source).count() as u64);
        }
    }
    assert_eq!(next, windows.len() as u64);
}

fn check_documents(report: &Value, windows: &[Window]) {
    // By source and key: where it ends, and the epochs that read it.
    let mut documents: BTreeMap<(usize, u128), (u64, BTreeSet<u32>)> = BTreeMap::new();
    for window in windows {
        for (key, end, epoch) in &window.fragments {
            let document = documents.entry((window.source, *key)).or_default();
            document.0 = document.0.max(*end);
            document.1.insert(*epoch);
        }
    }
    let found = &report["distributions"];
    assert_eq!(found["sample"].as_f64(), Some(1.0));
    assert_eq!(told(&found["document_tokens"]["all"]), buckets(documents.values().map(|of| of.0)));
    assert_eq!(told(&found["window_fragments"]["all"]), buckets(windows.iter().map(|w| w.fragments.len() as u64)));
    for (source, of) in list(&report["sources"]).iter().enumerate() {
        let mine = || documents.iter().filter(move |((s, _), _)| *s == source).map(|(_, of)| of);
        assert_eq!(number(&of["flow"]["documents"]["emitted"]), mine().count() as u64, "{}", name(of));
        let mut lengths: Vec<u64> = mine().map(|of| of.0).collect();
        lengths.sort_unstable();
        let told_of = |table: &str| {
            let all = list(&found[table]["sources"]).iter();
            all.clone().find(|other| other["source"] == of["name"]).unwrap().clone()
        };
        let histogram = told_of("document_tokens");
        assert_eq!(told(&histogram["buckets"]), buckets(lengths.iter().copied()));
        let quantile = |part: usize, of: usize| lengths[(lengths.len() * part).div_ceil(of) - 1];
        assert_eq!(number(&histogram["quantiles"]["median"]), quantile(1, 2));
        assert_eq!(number(&histogram["quantiles"]["p95"]), quantile(19, 20));
        assert_eq!(number(&histogram["quantiles"]["least"]), lengths[0]);
        assert_eq!(number(&histogram["quantiles"]["most"]), *lengths.last().unwrap());
        for times in list(&found["times_read"]) {
            let count = mine().filter(|of| of.1.len() as u64 == number(&times["times"])).count();
            assert_eq!(number(&times["sources"][source]), count as u64);
        }
    }
    let all: u64 = list(&found["times_read"]).iter().flat_map(|times| list(&times["sources"])).map(number).sum();
    assert_eq!(all, documents.len() as u64);
}

fn check_concentration(report: &Value, windows: &[Window]) {
    for of in list(&report["concentration"]) {
        let source = list(&report["sources"]).iter().position(|source| source["name"] == of["source"]).unwrap();
        let mut places: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        for (at, window) in windows.iter().enumerate().filter(|(_, window)| window.source == source) {
            let keys: BTreeSet<u128> = window.fragments.iter().map(|of| of.0).collect();
            keys.into_iter().for_each(|key| places.entry(key).or_default().push(at));
        }
        let within =
            |places: &[usize], from: usize| places.iter().filter(|at| (from..from + 1024).contains(*at)).count();
        let most = places.values().flat_map(|list| list.iter().map(|from| within(list, *from))).max().unwrap();
        assert_eq!(number(&of["windows"]), most as u64, "{of}");
        let key = u128::from_str_radix(of["document"].as_str().unwrap(), 16).unwrap();
        assert_eq!(within(&places[&key], usize::try_from(number(&of["first_window"])).unwrap()), most, "{of}");
    }
}

fn check_tokens(report: &Value, windows: &[Window]) {
    for (source, of) in list(&report["sources"]).iter().enumerate() {
        let mut epochs: BTreeMap<u64, u64> = BTreeMap::new();
        let dataset_tokens =
            |window: &Window| number(&report["phases"][window.phase]["window_tokens"]) - window.padding;
        let mine = || windows.iter().filter(move |window| window.source == source);
        let emitted: u64 = mine().map(dataset_tokens).sum();
        assert_eq!(number(&of["flow"]["tokens"]["emitted"]), emitted);
        assert_eq!(number(&of["flow"]["tokens"]["padding"]), mine().map(|window| window.padding).sum::<u64>());
        for uses in list(&of["epoch_use"]) {
            *epochs.entry(number(&uses["epoch"])).or_default() += number(&uses["emitted"]);
        }
        assert_eq!(epochs.values().sum::<u64>(), emitted);
        let read: BTreeSet<u64> = mine().flat_map(|w| w.fragments.iter().map(|of| u64::from(of.2))).collect();
        let begun: BTreeSet<u64> = epochs.iter().filter(|(_, tokens)| **tokens > 0).map(|(epoch, _)| *epoch).collect();
        assert_eq!(read, begun);
    }
}

/// Of the demo's sources: rows read, filtered, empty, and copies, from their rows alone.
#[test]
fn every_loss_is_that_of_the_sources() {
    let place = demo("concat");
    let report = report(&place, "out");
    let mut seen = BTreeSet::new();
    let held_out = held_out_keys(&place);
    let emitted = emitted_keys(&place);
    for of in list(&report["sources"]) {
        let source = name(of);
        let (mut read, mut filtered, mut empty, mut exact, mut held, mut left, mut used) = (0, 0, 0, 0, 0, 0, 0);
        for row in rows::source(source) {
            read += 1;
            let passes = match source {
                "web" => row["score"].as_f64().unwrap() >= 0.1,
                "sql" => row["stars"].as_f64().unwrap() >= 3.0,
                _ => true,
            };
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let text = match source {
                "github" => field("content"),
                "books" => format!("{}\n\n{}", field("title"), field("body")),
                _ => field("text"),
            };
            let key = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
            if !passes {
                filtered += 1;
            } else if text.trim().is_empty() {
                empty += 1;
            } else if !seen.insert(key) {
                exact += 1;
            } else if held_out.contains(&key) {
                held += 1;
            } else if emitted.contains(&key) {
                used += 1;
            } else {
                left += 1;
            }
        }
        let flow = &of["flow"]["documents"];
        let rules: u64 = list(&flow["filtered"]).iter().map(|rule| number(&rule["documents"])).sum();
        let told =
            [&flow["read"], &flow["empty"], &flow["exact"], &flow["held_out"], &flow["unused"], &flow["emitted"]];
        assert_eq!(told.map(number), [read, empty, exact, held, left, used], "{source}: {flow}");
        assert_eq!(rules, filtered, "{source}: {flow}");
        for none in ["bad", "contaminated", "near", "near_validation"] {
            assert_eq!(number(&flow[none]), 0, "{source}: {none}");
        }
    }
    // Copies by where the other stayed, and clusters, come to the same number.
    let all = number(&report["flow"]["documents"]["exact"]);
    let pairs: u64 = list(&report["evidence"]["pairs"]).iter().map(|pair| number(&pair["documents"])).sum();
    assert!(all > 0 && pairs == all, "{pairs} copies of {all} have a pair");
}

fn held_out_keys(place: &Place) -> BTreeSet<u128> {
    let dataset = Dataset::open(place.path("out")).unwrap();
    let sets = dataset.validation().iter();
    sets.flat_map(|set| {
        (0..set.len()).flat_map(|at| set.window(at).unwrap().fragments.map(|of| of.document.into()).collect::<Vec<_>>())
    })
    .collect()
}

fn emitted_keys(place: &Place) -> BTreeSet<u128> {
    let dataset = Dataset::open(place.path("out")).unwrap();
    (0..dataset.len())
        .flat_map(|at| dataset.window(at).unwrap().fragments.map(|of| of.document.into()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn reports_are_what_their_schema_says() {
    let place = demo("concat");
    let schema = place.run(&["schema", "report"]).expect(0).json();
    let valid = jsonschema::validator_for(&schema).unwrap();
    let written = report(&place, "out");
    assert!(valid.is_valid(&written), "{:?}", valid.iter_errors(&written).next().map(|error| error.to_string()));
    // Made again from the dataset it is the same, but for what a verification adds.
    let mut again = place.run(&["report", "out", "--json"]).expect(0).json();
    assert!(valid.is_valid(&again));
    assert_eq!(number(&again["verdict"]["verification"]["found"]), 0);
    again["verdict"]["verification"] = Value::Null;
    assert_eq!(again, written);
    place.run(&["verify", "out"]).expect(0);
    let mut broken = written.clone();
    broken["phases"][0]["windows"] = "many".into();
    assert!(!valid.is_valid(&broken));
}

#[test]
fn pages_need_nothing_else() {
    let place = demo("concat");
    let page = fs_err::read_to_string(place.path("out/report.html")).unwrap();
    assert!(page.len() < 2 << 20);
    for outside in ["http://", "https://", " src=", "@import", "url("] {
        assert!(!page.contains(outside), "`{outside}` is in the page");
    }
    place.run(&["report", "out", "--html", "again.html"]).expect(0);
    assert!(fs_err::read_to_string(place.path("again.html")).unwrap().contains("</html>"));
    place.run(&["plan", "curriculum.yaml", "--data", ".", "--html", "plan.html"]).expect(0);
    assert!(fs_err::read_to_string(place.path("plan.html")).unwrap().contains("planned-source"));
    place.run(&["report", "out", "--html", "x.html", "--json"]).expect(2);
}

#[test]
fn markdown_is_a_data_card() {
    let place = demo("concat");
    let text = place.run(&["report", "out", "--markdown"]).expect(0).stdout;
    let (front, rest) = text.strip_prefix("---\n").and_then(|text| text.split_once("\n---\n")).expect("front matter");
    assert!(front.contains("size_categories:\n- 1K<n<10K"), "{front}");
    for table in rest.split("\n\n").filter(|part| part.starts_with('|')) {
        let bars: BTreeSet<usize> = table.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(bars.len(), 1, "rows of different length:\n{table}");
    }
    assert!(rest.contains(place.digest("out").as_str()) && rest.contains("```yaml\n"));
}

#[test]
fn diff_names_what_changed_and_nothing_else() {
    let place = demo("concat");
    let text = fs_err::read_to_string(place.path("curriculum.yaml")).unwrap();
    assert!(place.run(&["diff", "out", "out"]).expect(0).stdout.starts_with("no difference"));
    place
        .write("curriculum.yaml", text.replace("dialog: 2.1%", "dialog: 3.1%").replace("tokens: 150k", "tokens: 160k"));
    place.compile("other", &["--work", "out/.work"]).expect(0);
    let changed = place.run(&["diff", "out", "other"]).expect(0).stdout;
    for words in ["tokens: 150k -> 160k", "foundation", "dialog", "2.10 %", "3.10 %", "dataset digest"] {
        assert!(changed.contains(words), "`{words}` is not in:\n{changed}");
    }
    assert!(!changed.contains("sequence length") && !changed.contains("tokenizer"), "{changed}");
}

/// The page of `report` in a real browser, where `cargo xtask test` could install one.
fn in_a_browser(page: &std::path::Path, report: &std::path::Path) {
    let variable = std::env::var_os;
    let (Some(chromium), Some(modules)) = (variable("SYLLABUS_CHROMIUM"), variable("SYLLABUS_NODE_MODULES")) else {
        eprintln!("NOT RUN: there is no browser; `cargo xtask test` installs one where it may");
        return;
    };
    let output = std::process::Command::new("node")
        .arg(harness::root().join("tests/browser/check.mjs"))
        .args([page, report])
        .arg("--modules")
        .arg(modules)
        .arg("--chromium")
        .arg(chromium)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_page_of_a_dataset_works_in_a_browser() {
    let place = demo("best_fit");
    in_a_browser(&place.path("out/report.html"), &place.path("out/report.json"));
}
