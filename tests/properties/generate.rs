//! Random small corpora and curricula. A case is a function of its seed.

use std::fmt::Write;

use crate::harness;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `low..=high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.within(1, of) == 1
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.within(0, length as u64 - 1)).unwrap()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}

/// A row of a source.
#[derive(Debug, Clone)]
pub struct Row {
    pub text: Text,
    pub score: Option<u64>,
    pub lang: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub enum Text {
    Good(String),
    /// A number where the text should be.
    Number,
    /// A line that is not JSON.
    Torn,
}

impl Row {
    fn line(&self) -> String {
        let text = match &self.text {
            Text::Good(text) => serde_json::Value::from(text.as_str()),
            Text::Number => 5.into(),
            Text::Torn => return "{\"text\": \"no end".to_owned(),
        };
        serde_json::json!({"text": text, "score": self.score, "lang": self.lang}).to_string()
    }
}

/// A `where`, and whether it reads a row: SQL's unknown does not.
#[derive(Debug, Clone)]
pub enum Where {
    AtLeast(u64),
    NotBelow(u64),
    Among(u64, [&'static str; 2]),
    NullOr(u64),
    Like(&'static str),
}

impl Where {
    fn sql(&self) -> String {
        match self {
            Self::AtLeast(n) => format!("score >= {n}"),
            Self::NotBelow(n) => format!("NOT (score < {n})"),
            Self::Among(n, [a, b]) => format!("score > {n} AND lang IN ('{a}', '{b}')"),
            Self::NullOr(n) => format!("score IS NULL OR score != {n}"),
            Self::Like(head) => format!("lang LIKE '{head}%'"),
        }
    }

    pub fn reads(&self, row: &Row) -> bool {
        match self {
            Self::AtLeast(n) | Self::NotBelow(n) => row.score.is_some_and(|score| score >= *n),
            Self::Among(n, langs) => {
                row.score.is_some_and(|score| score > *n) && row.lang.is_some_and(|lang| langs.contains(&lang))
            }
            Self::NullOr(n) => row.score != Some(*n),
            Self::Like(head) => row.lang.is_some_and(|lang| lang.starts_with(head)),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub grouped: bool,
    pub rows: Vec<Row>,
    pub condition: Option<Where>,
    /// In the order in which they are judged.
    pub rules: Vec<(&'static str, u64)>,
    pub max_epochs: Option<u64>,
    pub priority: i64,
    pub copies_of: Option<usize>,
    pub counts_bad: bool,
    /// Its near duplicates stay.
    pub exempt: bool,
}

/// Near duplicates: similarity in tenths, words of a shingle, and scope. Every band is one value, and there are as many as
/// there can be, so every similar pair is found.
#[derive(Debug, Clone)]
pub struct Near {
    pub jaccard: u64,
    pub shingle: usize,
    pub scope: &'static str,
}

/// Benchmark items, each a list of texts.
#[derive(Debug, Clone)]
pub struct Benchmarks {
    pub items: Vec<Vec<String>>,
    pub ngram: usize,
    /// In tenths; `any` where none.
    pub coverage: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub struct Framing {
    pub tokenizer: &'static str,
    pub bos: Option<&'static str>,
    pub eos: Option<&'static str>,
    pub pad: Option<&'static str>,
}

const FRAMINGS: [Framing; 5] = [
    Framing { tokenizer: "byte-level", bos: None, eos: Some("<|endoftext|>"), pad: None },
    Framing { tokenizer: "byte-level", bos: Some("<|endoftext|>"), eos: None, pad: Some("<|endoftext|>") },
    Framing { tokenizer: "llama-like", bos: None, eos: Some("</s>"), pad: None },
    Framing { tokenizer: "llama-like", bos: Some("<s>"), eos: Some("</s>"), pad: Some("<unk>") },
    Framing { tokenizer: "llama-like", bos: Some("<s>"), eos: Some("</s>"), pad: None },
];

#[derive(Debug, Clone)]
pub enum Weight {
    /// In tenths of a percent.
    Percent(u64),
    Relative(u64),
    Rest,
    /// Thousandths of the phase's budget, written in tokens.
    Tokens(u64),
    /// In tenths.
    Epochs(u64),
}

#[derive(Debug, Clone)]
pub enum Part {
    Source(usize),
    /// The group's sources by size, each times a factor.
    BySize(Vec<(usize, u64)>),
    /// The group's sources by relative weights.
    Of(Vec<(usize, u64)>),
}

pub type Mix = Vec<(Weight, Part)>;

#[derive(Debug, Clone)]
pub struct Phase {
    pub tokens: u64,
    pub until: bool,
    pub from: Mix,
    pub to: Option<Mix>,
    pub sequence_length: u64,
    pub best_fit: bool,
    pub allow_zero: bool,
}

impl Phase {
    /// Tokens of a line of so many thousandths of the budget.
    pub fn part(&self, thousandths: u64) -> u64 {
        self.tokens * thousandths / 1000
    }

    /// Its budget in windows: a half is rounded up.
    pub fn windows(&self) -> u64 {
        (2 * self.tokens + self.sequence_length) / (2 * self.sequence_length)
    }
}

#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub framing: Framing,
    pub label_token: bool,
    pub exact: bool,
    /// Thousandths, and the most tokens of a source.
    pub holdout: Option<(u64, Option<u64>)>,
    pub repeat: bool,
    pub near: Option<Near>,
    pub benchmarks: Option<Benchmarks>,
    pub sources: Vec<Source>,
    pub phases: Vec<Phase>,
}

const WORDS: [&str; 24] = [
    "tide",
    "the",
    "of",
    "moon",
    "a",
    "river",
    "Rust",
    "né",
    "naïve",
    "海",
    "1234",
    "x+=1;",
    "</s>",
    "<|endoftext|>",
    "<s>",
    "...",
    "e",
    "harbour",
    "and",
    "\u{2581}",
    "\t",
    "\n\n",
    "🙂",
    "counting",
];
const BLANK: [&str; 4] = ["", " ", "\n\t ", "\u{a0}\u{2003}"];
const LANGS: [&str; 4] = ["en", "en-GB", "de", "fr"];

/// From this seed on, and twice as far, cases are large.
pub const LARGE_FROM: u64 = 24;

/// A case without phases: they need the sources' sizes.
pub fn corpus(seed: u64) -> Case {
    let mut random = Random(seed);
    let random = &mut random;
    let number = usize::try_from(random.within(2, 4)).unwrap();
    let grouped = number > 2 && !random.once_in(3);
    let mut sources: Vec<Source> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    let repeat = random.once_in(2);
    // Some cases are large enough for phases of several blocks.
    let times = if (LARGE_FROM..2 * LARGE_FROM).contains(&seed) { 8 } else { 1 };
    for id in 0..number {
        let counts_bad = random.once_in(3);
        let longest = random.pick(&[6, 20, 60]);
        let rows = (0..times * random.within(5, 60)).map(|_| row(random, counts_bad, longest, &mut known)).collect();
        let condition = random.once_in(3).then(|| match random.within(0, 4) {
            0 => Where::AtLeast(random.within(0, 3)),
            1 => Where::NotBelow(random.within(0, 3)),
            2 => Where::Among(random.within(0, 3), [random.pick(&LANGS), random.pick(&LANGS)]),
            3 => Where::NullOr(random.within(0, 9)),
            _ => Where::Like("en"),
        });
        let mut rules = Vec::new();
        if random.once_in(3) {
            let most = random.within(40, 400);
            for (rule, bound) in [("min_bytes", 9), ("max_bytes", most), ("min_chars", 8), ("max_chars", most - 20)] {
                if random.once_in(2) {
                    rules.push((rule, bound));
                }
            }
        }
        sources.push(Source {
            name: ["web", "code", "sql", "books"][id].to_owned(),
            grouped: grouped && (id == 1 || id == 2),
            rows,
            condition,
            rules,
            max_epochs: random.once_in(3).then(|| random.within(1, 5)),
            priority: if random.once_in(3) { i64::try_from(random.within(0, 3)).unwrap() - 1 } else { 0 },
            copies_of: (id > 0 && random.once_in(4)).then(|| random.index(id)),
            counts_bad,
            exempt: false,
        });
    }
    let exact = !random.once_in(6);
    let cap = random.once_in(if exact { 3 } else { 2 }).then(|| random.within(20, 200));
    let mut case = Case {
        seed,
        framing: random.pick(&FRAMINGS),
        label_token: !random.once_in(4),
        exact,
        holdout: (!random.once_in(4)).then(|| (random.within(10, 300), cap)),
        repeat,
        near: None,
        benchmarks: None,
        sources,
        phases: Vec::new(),
    };
    let random = &mut Random(seed ^ 0x6e65_6172);
    if random.once_in(2) {
        seek_near(random, &mut case, &known);
    }
    if random.once_in(3) {
        seek_leaks(random, &mut case, &known);
    }
    case
}

/// Near duplicates, of which there are then some: texts with a few words changed, left out, put in or moved.
fn seek_near(random: &mut Random, case: &mut Case, known: &[String]) {
    case.near = Some(Near {
        jaccard: random.pick(&[5, 7, 8, 10]),
        shingle: usize::try_from(random.within(1, 3)).unwrap(),
        scope: random.pick(&["source", "group", "all"]),
    });
    for source in &mut case.sources {
        source.exempt = random.once_in(5);
        for _ in 0..random.within(0, source.rows.len() as u64 / 2) {
            let text = edited(random, known);
            let copies = if random.once_in(6) { 2 } else { 1 };
            let row = Row { text: Text::Good(text), score: Some(9), lang: Some("en") };
            source.rows.extend(std::iter::repeat_n(row, copies));
        }
    }
}

fn edited(random: &mut Random, known: &[String]) -> String {
    let mut words: Vec<String> = random.pick(known).split(' ').map(str::to_owned).collect();
    for _ in 0..random.within(0, 2) {
        let (at, other) = (random.index(words.len()), random.index(words.len()));
        match random.within(0, 3) {
            0 => words[at] = random.pick(&WORDS).to_owned(),
            1 => words.insert(at, random.pick(&WORDS).to_owned()),
            2 => words.swap(at, other),
            _ => words[at] = words[at].to_uppercase(),
        }
    }
    words.join(" ")
}

/// Benchmark items cut from the texts, so that some have leaked, in part or whole, and some are boilerplate.
fn seek_leaks(random: &mut Random, case: &mut Case, known: &[String]) {
    let mut items = Vec::new();
    for _ in 0..random.within(1, 30) {
        let texts = (0..random.within(1, 2)).map(|_| {
            let words: Vec<String> = edited(random, known).split(' ').map(str::to_owned).collect();
            let from = random.index(words.len());
            let most = random.index(words.len() - from) + 1;
            words[from..from + most].join(if random.once_in(2) { ", " } else { " " })
        });
        items.push(texts.collect());
    }
    if random.once_in(2) {
        // In so many items that it does not count.
        let boilerplate = edited(random, known);
        items.iter_mut().take(12).for_each(|texts: &mut Vec<String>| texts.push(boilerplate.clone()));
    }
    case.benchmarks = Some(Benchmarks {
        items,
        ngram: usize::try_from(random.within(3, 9)).unwrap(),
        coverage: random.once_in(2).then(|| random.pick(&[3, 5, 10])),
    });
}

fn row(random: &mut Random, bad: bool, longest: u64, known: &mut Vec<String>) -> Row {
    let text = match random.within(0, 29) {
        0 if bad => Text::Number,
        1 if bad => Text::Torn,
        2 | 3 => Text::Good(random.pick(&BLANK).to_owned()),
        4..=9 if !known.is_empty() => Text::Good(random.pick(known)),
        _ => {
            let mut text = String::new();
            for at in 0..random.within(1, longest) {
                let space = if at > 0 && !random.once_in(8) { " " } else { "" };
                write!(text, "{space}{}", random.pick(&WORDS)).unwrap();
            }
            known.push(text.clone());
            Text::Good(text)
        }
    };
    let score = (!random.once_in(6)).then(|| random.within(0, 9));
    let lang = (!random.once_in(6)).then(|| random.pick(&LANGS));
    Row { text, score, lang }
}

/// A mix of some of the sources that have tokens.
pub fn mix(random: &mut Random, case: &Case, sizes: &[u64]) -> Mix {
    let group: Vec<usize> = (0..sizes.len()).filter(|&s| case.sources[s].grouped && sizes[s] > 0).collect();
    let as_group = group.len() == 2 && !random.once_in(3);
    let mut parts: Vec<Part> =
        (0..sizes.len()).filter(|s| sizes[*s] > 0 && !(as_group && group.contains(s))).map(Part::Source).collect();
    if as_group {
        let weighted = group.iter().map(|&s| (s, random.within(1, 4))).collect();
        parts.push(if random.once_in(2) { Part::BySize(weighted) } else { Part::Of(weighted) });
    }
    random.shuffle(&mut parts);
    if parts.len() > 2 && random.once_in(3) {
        parts.pop();
    }
    let style = random.within(0, 4);
    let last = parts.len() - 1;
    let most = 950 / parts.len() as u64;
    let weighted = parts.into_iter().enumerate().map(|(at, part)| {
        let whole = matches!(part, Part::Source(_));
        let weight = match style {
            0 => Weight::Relative(random.within(1, 9)),
            1 if at < last => Weight::Percent(random.within(20, most)),
            _ if at == last => Weight::Rest,
            2 if at == 0 => Weight::Tokens(random.within(50, most)),
            3 if at == 0 && whole => Weight::Epochs(random.within(1, 12)),
            _ => Weight::Percent(random.within(20, most)),
        };
        (weight, part)
    });
    weighted.collect()
}

impl Case {
    /// Tokens of a window.
    pub fn window(&self, phase: &Phase) -> u64 {
        phase.sequence_length + u64::from(self.label_token)
    }

    /// How often a source may be read; none where without bound.
    pub fn epochs(&self, source: usize) -> Option<u64> {
        self.sources[source].max_epochs.or((!self.repeat).then_some(1))
    }

    /// The curriculum as YAML.
    pub fn yaml(&self) -> String {
        let mut out = format!("syllabus: 1\nname: case\nseed: {}\n", self.seed);
        let framing = self.framing;
        let file = harness::fixtures().join("tokenizers").join(framing.tokenizer).join("tokenizer.json");
        let token = |token: Option<&str>| token.map_or("none".to_owned(), |token| format!("\"{token}\""));
        let pad = framing.pad.map_or(String::new(), |pad| format!(", pad: \"{pad}\""));
        let (bos, eos) = (token(framing.bos), token(framing.eos));
        writeln!(out, "tokenizer: {{file: {}, bos: {bos}, eos: {eos}{pad}}}", file.display()).unwrap();
        let near = self.near.as_ref().map_or(String::new(), |near| {
            let Near { jaccard, shingle, scope } = near;
            let jaccard = format!("{}%", 10 * jaccard);
            format!(", near: {{jaccard: {jaccard}, shingle: {shingle}, scope: {scope}, bands: 128, rows: 1, max_removed: 100%}}")
        });
        writeln!(out, "label_token: {}\ndedup: {{exact: {}{near}}}", self.label_token, self.exact).unwrap();
        if let Some(Benchmarks { ngram, coverage, .. }) = &self.benchmarks {
            let coverage = coverage.map_or("any".to_owned(), |tenths| format!("{}%", 10 * tenths));
            writeln!(out, "decontaminate: {{files: eval/*.jsonl, fields: q, ngram: {ngram}, coverage: {coverage}}}")
                .unwrap();
        }
        if self.repeat {
            out.push_str("on_exhausted: repeat\n");
        }
        if let Some((share, cap)) = self.holdout {
            let cap = cap.map_or(String::new(), |cap| format!(", max_tokens_per_source: {cap}"));
            writeln!(out, "holdout: {{validation: {{share: {}.{}%{cap}}}}}", share / 10, share % 10).unwrap();
        }
        out.push_str("sources:\n");
        for source in &self.sources {
            write!(out, "  {0}: {{files: \"data/{0}/*.jsonl\", priority: {1}", source.name, source.priority).unwrap();
            if source.grouped {
                out.push_str(", group: g");
            }
            if let Some(condition) = &source.condition {
                write!(out, ", where: \"{}\"", condition.sql()).unwrap();
            }
            for (rule, bound) in &source.rules {
                write!(out, ", {rule}: {bound}").unwrap();
            }
            if let Some(epochs) = source.max_epochs {
                write!(out, ", max_epochs: {epochs}").unwrap();
            }
            if let Some(parent) = source.copies_of {
                write!(out, ", copies_of: {}", self.sources[parent].name).unwrap();
            }
            if source.exempt {
                out.push_str(", exempt: true");
            }
            out.push_str(if source.counts_bad { ", on_bad_row: count}\n" } else { "}\n" });
        }
        out.push_str("phases:\n");
        let mut total = 0;
        for (number, phase) in self.phases.iter().enumerate() {
            total += phase.tokens;
            let budget = if phase.until { format!("until: {total}") } else { format!("tokens: {}", phase.tokens) };
            let mix = match &phase.to {
                Some(to) => format!("{{from: {}, to: {}}}", self.mix(phase, &phase.from), self.mix(phase, to)),
                None => self.mix(phase, &phase.from),
            };
            let packing = if phase.best_fit { "best_fit" } else { "concat" };
            writeln!(
                out,
                "  - {{name: p{number}, {budget}, sequence_length: {}, packing: {packing}, allow_zero: {}, mix: {mix}}}",
                phase.sequence_length, phase.allow_zero
            )
            .unwrap();
        }
        out
    }

    fn mix(&self, phase: &Phase, mix: &Mix) -> String {
        let tenths = |n: u64| format!("{}.{}", n / 10, n % 10);
        let named = |members: &[(usize, u64)]| {
            let lines: Vec<String> = members.iter().map(|(s, n)| format!("{}: {n}", self.sources[*s].name)).collect();
            lines.join(", ")
        };
        let lines: Vec<String> = mix
            .iter()
            .map(|(weight, part)| {
                let weight = match weight {
                    Weight::Percent(share) => format!("{}%", tenths(*share)),
                    Weight::Relative(n) => n.to_string(),
                    Weight::Rest => "rest".to_owned(),
                    Weight::Tokens(part) => {
                        let tokens = phase.part(*part);
                        format!("{}.{:03}k", tokens / 1000, tokens % 1000)
                    }
                    Weight::Epochs(n) => format!("{}x", tenths(*n)),
                };
                match part {
                    Part::Source(source) => format!("{}: {weight}", self.sources[*source].name),
                    Part::BySize(members) => {
                        format!("g: {{share: {weight}, by: size, boost: {{{}}}}}", named(members))
                    }
                    Part::Of(members) => format!("g: {{share: {weight}, of: {{{}}}}}", named(members)),
                }
            })
            .collect();
        format!("{{{}}}", lines.join(", "))
    }

    /// The files of the corpus by their paths, rows split in their order into at most `files` a source.
    pub fn files(&self, random: &mut Random, files: u64, salt: &str) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for source in &self.sources {
            let number = random.within(1, files).min(source.rows.len() as u64);
            let size = source.rows.len().div_ceil(usize::try_from(number).unwrap());
            for rows in source.rows.chunks(size) {
                let lines: String = rows.iter().map(|row| row.line() + "\n").collect();
                let name = format!("data/{}/{salt}{:04x}-{}.jsonl", source.name, random.within(0, 0xffff), out.len());
                out.push((name, lines));
            }
        }
        if let Some(benchmarks) = &self.benchmarks {
            let mut lines: Vec<String> = (benchmarks.items.iter().enumerate())
                .map(|(number, texts)| {
                    serde_json::json!({"id": number, "benchmark": "b", "q": texts}).to_string() + "\n"
                })
                .collect();
            random.shuffle(&mut lines);
            let (one, other) = lines.split_at(lines.len() / 2);
            for (name, lines) in [("one", one), ("other", other)].into_iter().filter(|(_, lines)| !lines.is_empty()) {
                out.push((format!("eval/{salt}-{name}.jsonl"), lines.concat()));
            }
        }
        out
    }
}
