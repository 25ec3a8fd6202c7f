//! Progress on stderr: bars for a person, lines for a log, JSON for a machine.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::ProgressMode;
use super::say;
use crate::compile::progress::{Progress, Stage};
use crate::plan::number;

/// The way that was asked for.
pub fn show(mode: ProgressMode) -> Box<dyn Progress> {
    match mode {
        ProgressMode::Auto if std::io::stderr().is_terminal() => Box::new(Bars::default()),
        ProgressMode::Auto | ProgressMode::Plain => Box::new(Lines::new(Style::Plain, say)),
        ProgressMode::Json => Box::new(json_lines(say)),
        ProgressMode::None => Box::new(Lines::new(Style::None, say)),
    }
}

/// Hands each event to `to`, as a JSON object: `event` (`begin`, `progress`, `end`), `stage`, `seconds`, and where they are known
/// `parts` and `windows` (`done`, `of`), `documents` and `bytes`; or `event` (`note`, `warning`) and `message`.
pub fn json_lines(to: impl Fn(&str) + Send + Sync) -> impl Progress {
    Lines::new(Style::Json, to)
}

fn rate(bytes: u64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let rate = bytes as f64 / seconds.max(1e-3);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, far below 2^64")]
    let rate = rate as u128;
    format!("{}/s", number::bytes(rate))
}

/// Bars, on a terminal.
#[derive(Default)]
struct Bars {
    bar: Mutex<Option<(Stage, Instant, ProgressBar)>>,
}

impl Bars {
    fn bar(&self) -> MutexGuard<'_, Option<(Stage, Instant, ProgressBar)>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn above(&self, line: &str) {
        match &*self.bar() {
            Some((_, _, bar)) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

impl Progress for Bars {
    fn begin(&self, stage: Stage, total: Option<u64>) {
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match total {
            Some(_) => "{prefix:<10} {bar:40} {percent:>3} %  {human_pos} of {human_len} windows, {eta} left",
            None => "{prefix:<10} {spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.name());
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.bar() = Some((stage, Instant::now(), bar));
    }

    fn ingest(&self, units: u64, of: u64, documents: u64, bytes: u64) {
        if let Some((_, since, bar)) = &*self.bar() {
            bar.set_message(format!(
                "{units} of {of} parts, {} documents, {} of text, {}",
                number::count(documents),
                number::bytes(bytes.into()),
                rate(bytes, since.elapsed().as_secs_f64())
            ));
        }
    }

    fn advance(&self, windows: u64) {
        if let Some((_, _, bar)) = &*self.bar() {
            bar.inc(windows);
        }
    }

    fn end(&self) {
        if let Some((stage, since, bar)) = self.bar().take() {
            let message = bar.message();
            bar.finish_and_clear();
            let took = number::duration(since.elapsed().as_secs_f64());
            let message = if message.is_empty() { message } else { format!("  {message}") };
            say(&format!("{:<10} {took:>8}{message}", stage.name()));
        }
    }

    fn note(&self, line: &str) {
        self.above(line);
    }

    fn warn(&self, line: &str) {
        self.above(&format!("warning: {line}"));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Json,
    None,
}

/// One line for each event, at most one each ten seconds (JSON: each second) within a stage.
struct Lines<F> {
    style: Style,
    state: Mutex<State>,
    say: F,
}

struct State {
    stage: Stage,
    since: Instant,
    told: Instant,
    windows: u64,
    total: Option<u64>,
    ingested: (u64, u64, u64, u64),
}

impl<F: Fn(&str)> Lines<F> {
    fn new(style: Style, say: F) -> Self {
        let now = Instant::now();
        let stage = Stage::Tokenizer;
        let state = State { stage, since: now, told: now, windows: 0, total: None, ingested: (0, 0, 0, 0) };
        Self { style, state: Mutex::new(state), say }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &mut State, event: &str) {
        let name = state.stage.name();
        let seconds = state.since.elapsed().as_secs_f64();
        let (units, of, documents, bytes) = state.ingested;
        state.told = Instant::now();
        match (self.style, state.stage) {
            (Style::None, _) => {}
            (Style::Json, _) => {
                let mut line = json!({"event": event, "stage": name, "seconds": seconds});
                if state.stage == Stage::Ingest {
                    line["parts"] = json!({"done": units, "of": of});
                    line["documents"] = json!(documents);
                    line["bytes"] = json!(bytes);
                }
                if let Some(total) = state.total {
                    line["windows"] = json!({"done": state.windows, "of": total});
                }
                (self.say)(&line.to_string());
            }
            (Style::Plain, _) if event == "begin" => {}
            (Style::Plain, Stage::Ingest) => (self.say)(&format!(
                "{name:<10} {:>8}  {units} of {of} parts, {} documents, {} of text, {}",
                number::duration(seconds),
                number::count(documents),
                number::bytes(bytes.into()),
                rate(bytes, seconds)
            )),
            (Style::Plain, _) => {
                let windows = state
                    .total
                    .map(|total| format!("  {} of {} windows", number::count(state.windows), number::count(total)));
                (self.say)(&format!("{name:<10} {:>8}{}", number::duration(seconds), windows.unwrap_or_default()));
            }
        }
    }

    fn maybe_tell(&self, state: &mut State) {
        let pause = Duration::from_secs(if self.style == Style::Json { 1 } else { 10 });
        if state.told.elapsed() >= pause {
            self.tell(state, "progress");
        }
    }
}

impl<F: Fn(&str) + Send + Sync> Progress for Lines<F> {
    fn begin(&self, stage: Stage, total: Option<u64>) {
        let now = Instant::now();
        let mut state = self.state();
        *state = State { stage, since: now, told: now, windows: 0, total, ingested: (0, 0, 0, 0) };
        self.tell(&mut state, "begin");
    }

    fn ingest(&self, units: u64, of: u64, documents: u64, bytes: u64) {
        let mut state = self.state();
        state.ingested = (units, of, documents, bytes);
        self.maybe_tell(&mut state);
    }

    fn advance(&self, windows: u64) {
        let mut state = self.state();
        state.windows += windows;
        self.maybe_tell(&mut state);
    }

    fn end(&self) {
        self.tell(&mut self.state(), "end");
    }

    fn note(&self, line: &str) {
        match self.style {
            Style::Plain => (self.say)(line),
            Style::Json => (self.say)(&json!({"event": "note", "message": line}).to_string()),
            Style::None => {}
        }
    }

    fn warn(&self, line: &str) {
        match self.style {
            Style::Json => (self.say)(&json!({"event": "warning", "message": line}).to_string()),
            Style::Plain | Style::None => (self.say)(&format!("warning: {line}")),
        }
    }
}
