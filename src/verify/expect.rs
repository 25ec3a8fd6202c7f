//! The curriculum's own words against the dataset: names, shapes, and the `expect` lines judged anew.

use std::collections::BTreeMap;

use num_traits::ToPrimitive;
use syllabus_reader::format::manifest::{ExpectResult, Manifest};

use super::findings::Findings;
use crate::curriculum::Curriculum;
use crate::curriculum::expect::Subject;
use crate::plan::expect::judge;

const FILE: &str = "manifest.json";

/// Windows by phase and source, both by the manifest's index.
pub(super) type Windows = BTreeMap<(u32, u32), u64>;

/// The windows that the manifest claims.
pub(super) fn claimed(manifest: &Manifest) -> Windows {
    let mut windows = Windows::new();
    for (set, phase) in (0_u32..).zip(&manifest.phases) {
        for summary in &phase.sources {
            let source = (0_u32..).zip(&manifest.sources).find(|(_, source)| source.name == summary.name);
            if let Some((source, _)) = source {
                *windows.entry((set, source)).or_default() += summary.windows;
            }
        }
    }
    windows
}

/// Checks names and shapes against the curriculum, and the `expect` lines on `windows`.
pub(super) fn check(manifest: &Manifest, curriculum: &Curriculum, windows: &Windows, findings: &Findings) {
    let add = |message: String| findings.add(FILE, message);
    if manifest.name != curriculum.name || manifest.seed != curriculum.seed {
        add("name or seed is not that of the curriculum in it".to_owned());
    }
    let names = |name: &String, group: &Option<String>| (name.clone(), group.clone());
    let said: Vec<_> = manifest.sources.iter().map(|source| names(&source.name, &source.group)).collect();
    if said != curriculum.sources.iter().map(|source| names(&source.name, &source.group)).collect::<Vec<_>>() {
        add("its sources are not those of the curriculum in it, in the same order".to_owned());
        return;
    }
    let unique: Vec<u64> = manifest.sources.iter().map(|source| source.tokens).collect();
    // Of a dataset that leaves phases out, what these read of a source is not in its windows.
    let partial = manifest.phases.len() < curriculum.phases.len();
    let mut stored = vec![0_u64; unique.len()];
    let mut wanted: Vec<(ExpectResult, bool)> = Vec::new();
    let mut next = 0;
    for (set, phase) in (0_u32..).zip(&manifest.phases) {
        let Some(number) = curriculum.phases.iter().position(|p| p.name == phase.name).filter(|&number| number >= next)
        else {
            add(format!("phase `{}` is not in the curriculum, or not in this order", phase.name));
            return;
        };
        next = number + 1;
        let Some(asked) = curriculum.phases.get(number) else { return };
        let w = asked.sequence_length.saturating_add(u32::from(curriculum.label_token));
        if (phase.sequence_length, phase.window_tokens) != (asked.sequence_length, w) {
            add(format!("phase `{}`: S and W are not the curriculum's {} and {w}", phase.name, asked.sequence_length));
        }
        let here: Vec<u64> =
            (0_u32..).zip(&unique).map(|(source, _)| windows.get(&(set, source)).copied().unwrap_or(0)).collect();
        for (stored, count) in stored.iter_mut().zip(&here) {
            *stored = stored.saturating_add(count.saturating_mul(u64::from(phase.window_tokens)));
        }
        for line in &asked.expect {
            let judged = judge(line, phase.window_tokens, &here, &stored, &unique);
            let value = judged.value.to_f64().unwrap_or(f64::MAX);
            let known = !(partial && matches!(line.subject, Subject::Epochs(_)));
            let line = ExpectResult { phase: phase.name.clone(), text: judged.text, value, holds: judged.holds };
            wanted.push((line, known));
        }
    }
    if manifest.expect.len() != wanted.len() {
        add(format!(
            "{} `expect` lines, but the curriculum has {} for these phases",
            manifest.expect.len(),
            wanted.len()
        ));
        return;
    }
    for (said, (found, known)) in manifest.expect.iter().zip(&wanted) {
        if (&said.phase, &said.text) != (&found.phase, &found.text) {
            add(format!("`expect` line `{}` of `{}` is not the curriculum's `{}`", said.text, said.phase, found.text));
        } else if *known && ((said.value - found.value).abs() > 1e-12 * found.value.abs() || said.holds != found.holds)
        {
            let (a, b) = (said.value, found.value);
            add(format!("phase `{}`: `{}` is said to be {a}, but the windows give {b}", said.phase, said.text));
        } else if !said.holds {
            add(format!("phase `{}`: `{}` does not hold: it is {}", said.phase, said.text, said.value));
        }
    }
}
