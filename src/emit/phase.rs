//! One phase to its shards.

use std::collections::BTreeMap;
use std::path::Path;

use syllabus_reader::format::manifest::{PhaseSource, PhaseSummary, Shard};

use super::fill::{fill, in_order, task_windows};
use super::shard::{Filled, ShardWriter, shard_name};
use super::validation::digest;
use super::written::{WholeShard, WholeShards};
use crate::curriculum::Curriculum;
use crate::error::Result;
use crate::ingest::Watch;
use crate::mix::{Interleave, SourceStream, labels};
use crate::plan::PhasePlan;
use crate::store::documents::SourceStore;
use crate::tokenize::Contract;

/// What emitting needs from all stages before it.
pub struct Inputs<'a> {
    /// The curriculum.
    pub curriculum: &'a Curriculum,
    /// The tokenizer's contract.
    pub contract: &'a Contract,
    /// Each source's segments.
    pub stores: &'a [&'a SourceStore],
    /// Each source's stream of windows.
    pub streams: &'a [SourceStream<'a>],
}

/// What was written of a phase, counted from the windows themselves.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Tokens of each source in each of its epochs.
    pub tokens: BTreeMap<(usize, u32), u64>,
    /// Padding in each source's windows.
    pub padding: BTreeMap<usize, u64>,
    /// Largest token id.
    pub max_id: u32,
}

impl Emitted {
    fn count(&mut self, filled: &Filled) {
        self.max_id = self.max_id.max(filled.max_id);
        let mut first = 0;
        for &(source, padding, end) in &filled.rows {
            let source = source as usize;
            for fragment in filled.fragments.get(first..end).unwrap_or_default() {
                *self.tokens.entry((source, fragment.epoch)).or_default() += u64::from(fragment.length);
            }
            if padding > 0 {
                *self.padding.entry(source).or_default() += u64::from(padding);
            }
            first = end;
        }
    }
}

/// Writes a phase's shards, but for those that an earlier run has written. `number` is the phase's place in the curriculum;
/// `tick` is told of windows that are there.
pub fn emit(
    out: &Path,
    inputs: &Inputs<'_>,
    number: usize,
    plan: &PhasePlan,
    whole: &mut WholeShards,
    watch: &Watch,
    tick: &(dyn Fn(u64) + Sync),
) -> Result<(PhaseSummary, Emitted)> {
    crate::files::make_folder(&out.join(&plan.name))?;
    // Or a loss of power takes the folder, and shards that are on record with it.
    crate::files::sync_names(out)?;
    let names: Vec<String> = inputs.curriculum.sources.iter().map(|s| s.name.clone()).collect();
    let mut order = Order::new(inputs, plan)?;
    let mut emitted = Emitted::default();
    let mut shards: Vec<Shard> = Vec::new();
    let planned: Vec<(String, u64)> = (0..plan.shards())
        .map(|shard| {
            let left = plan.windows - shard * plan.shard_windows;
            (shard_name(&plan.name, shard), left.min(plan.shard_windows))
        })
        .collect();
    let there = whole.check(&planned, watch)?;
    for (name, windows) in planned {
        if let Some(known) = there.get(&name) {
            order.pass(windows);
            known.count(&mut emitted);
            tick(windows);
            shards.push(known.shard.clone());
            continue;
        }
        let mut counts = Emitted::default();
        let mut writer = ShardWriter::create(out, &name, inputs.contract.dtype, &names)?;
        let mut hash = blake3::Hasher::new();
        let mut left = windows;
        while left > 0 {
            let stretch = order.next_stretch(left)?;
            left -= stretch.len() as u64;
            write(inputs, number, plan, &stretch, &mut hash, |filled| {
                watch.check()?;
                counts.count(filled);
                tick(filled.rows.len() as u64);
                writer.push(filled)
            })?;
        }
        let done = WholeShard::new(writer.finish(&hash)?, &counts);
        whole.push(&done)?;
        done.count(&mut emitted);
        shards.push(done.shard);
    }
    let sources = names
        .iter()
        .zip(&order.counts)
        .filter(|(_, windows)| **windows > 0)
        .map(|(name, windows)| PhaseSource { name: name.clone(), windows: *windows })
        .collect();
    let summary = PhaseSummary {
        digest: digest(&plan.name, plan.sequence_length, plan.window_tokens, &shards)?,
        name: plan.name.clone(),
        sequence_length: plan.sequence_length,
        window_tokens: plan.window_tokens,
        windows: plan.windows,
        tokens: plan.windows * u64::from(plan.sequence_length),
        sources,
        shards,
    };
    Ok((summary, emitted))
}

fn write(
    inputs: &Inputs<'_>,
    number: usize,
    plan: &PhasePlan,
    stretch: &[(usize, u64)],
    hash: &mut blake3::Hasher,
    push: impl FnMut(&Filled) -> Result<()> + Send,
) -> Result<()> {
    let task = task_windows(plan.window_tokens, inputs.contract);
    in_order(
        stretch.len().div_ceil(task),
        |t, filled| {
            let windows = t * task..stretch.len().min((t + 1) * task);
            fill(filled, windows, plan.window_tokens, inputs.contract, inputs.stores, |i, pieces| {
                let (source, k) = stretch[i];
                Ok((source, inputs.streams[source].window(number, k, pieces)?))
            })
        },
        |filled| {
            hash.update(&filled.bytes);
        },
        push,
    )
}

/// The order of a phase's windows: which source's how-manieth window stands at each position.
struct Order<'a> {
    interleave: Interleave,
    seed: u64,
    phase: &'a str,
    block: u64,
    owners: Vec<u16>,
    /// Windows handed out so far, by source.
    counts: Vec<u64>,
}

/// Windows whose order is worked out at a time: whole blocks.
const STRETCH: u64 = 256 * 64;

impl<'a> Order<'a> {
    fn new(inputs: &Inputs<'_>, plan: &'a PhasePlan) -> Result<Self> {
        Ok(Self {
            interleave: Interleave::new(&plan.shares, plan.windows)?,
            seed: inputs.curriculum.seed,
            phase: &plan.name,
            block: 0,
            owners: Vec::new(),
            counts: vec![0; plan.shares.len()],
        })
    }

    /// Goes past windows: whole blocks, or all that are left.
    fn pass(&mut self, windows: u64) {
        let mut left = windows;
        while left > 0 {
            self.owners.clear();
            self.interleave.next_block(&mut self.owners);
            if self.owners.is_empty() {
                return;
            }
            self.block += 1;
            self.owners.iter().for_each(|owner| self.counts[usize::from(*owner)] += 1);
            left = left.saturating_sub(self.owners.len() as u64);
        }
    }

    /// The next windows, up to `most` (whole blocks but for the phase's last).
    fn next_stretch(&mut self, most: u64) -> Result<Vec<(usize, u64)>> {
        let mut stretch = Vec::new();
        while (stretch.len() as u64) < most.min(STRETCH) {
            self.owners.clear();
            self.interleave.next_block(&mut self.owners);
            if self.owners.is_empty() {
                break;
            }
            labels::permute(self.seed, self.phase, self.block, &mut self.owners);
            self.block += 1;
            for &owner in &self.owners {
                let count = &mut self.counts[usize::from(owner)];
                stretch.push((usize::from(owner), *count));
                *count += 1;
            }
        }
        Ok(stretch)
    }
}
