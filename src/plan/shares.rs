//! From a mix to the exact share of every source.
//!
//! At each level of a mix, absolute lines come first (a percentage of the level, tokens of the phase, epochs of the unique
//! tokens), bare numbers divide what is left in proportion, and `rest` takes the remainder. Groups divide what they get in
//! the same way (`of:`), or by unique tokens (`by: size`) times a factor (`boost:`). All in exact fractions: the shares of a
//! phase sum to one, or the mix is refused.
//!
//! A weight in epochs (`2x`) is turned into whole windows, rounded down (a group divided by size: for each member), because
//! half a window more than its epochs would already begin the next.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::curriculum::checked::{Curriculum, Mix, MixEntry, MixPart, Phase, SourceId, Split, Weight};
use crate::error::{Error, Result};
use crate::mix::Ramp;

use super::{SourcePlan, number, refuse};

/// What a phase's mix is divided with.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    /// The curriculum.
    pub curriculum: &'a Curriculum,
    /// Its sources with their sizes, in its order.
    pub sources: &'a [SourcePlan],
    /// The phase.
    pub phase: &'a Phase,
    /// Its windows.
    pub windows: u64,
    /// W.
    pub window_tokens: u32,
    /// `--scale`.
    pub scale: &'a BigRational,
}

/// Shares of all sources (by source index) at the phase's start and end. Each end sums to exactly one.
///
/// # Errors
///
/// `Error::Infeasible` where absolute lines do not fit with these sizes, `Error::Curriculum` where they could with none.
pub fn shares(level: &Level<'_>) -> Result<Vec<Ramp>> {
    let from = level.of_mix(&level.phase.from, "the mix at its start")?;
    let to = match &level.phase.to {
        Some(to) => level.of_mix(to, "the mix at its end")?,
        None => from.clone(),
    };
    Ok(from.into_iter().zip(to).map(|(from, to)| Ramp { from, to }).collect())
}

/// Which sources stand in some phase's mix, by source index.
#[must_use]
pub fn sources_read(curriculum: &Curriculum) -> Vec<bool> {
    let mut read = vec![false; curriculum.sources.len()];
    for phase in &curriculum.phases {
        for mix in std::iter::once(&phase.from).chain(&phase.to) {
            for source in reachable(mix) {
                if let Some(read) = read.get_mut(source) {
                    *read = true;
                }
            }
        }
    }
    read
}

/// Whether the shares of some phase follow from the sources' sizes: a line in epochs, or a group shared by size.
#[must_use]
pub fn hang_on_sizes(curriculum: &Curriculum) -> bool {
    fn of_mix(mix: &Mix) -> bool {
        mix.entries.iter().any(|entry| {
            matches!(entry.weight, Weight::Epochs(_))
                || match &entry.of {
                    MixPart::Source(_) => false,
                    MixPart::Group { split: Split::Size { .. }, .. } => true,
                    MixPart::Group { split: Split::Mix(mix), .. } => of_mix(mix),
                }
        })
    }
    curriculum.phases.iter().flat_map(|phase| std::iter::once(&phase.from).chain(&phase.to)).any(of_mix)
}

fn reachable(mix: &Mix) -> Vec<SourceId> {
    let mut out = Vec::new();
    for entry in &mix.entries {
        match &entry.of {
            MixPart::Source(source) => out.push(*source),
            MixPart::Group { split: Split::Size { members, .. }, .. } => out.extend(members),
            MixPart::Group { split: Split::Mix(mix), .. } => out.extend(reachable(mix)),
        }
    }
    out
}

impl Level<'_> {
    fn of_mix(&self, mix: &Mix, default_name: &str) -> Result<Vec<BigRational>> {
        let mut shares = vec![BigRational::zero(); self.sources.len()];
        let place = match &mix.name {
            Some(name) => format!("phase `{}`, mix `{name}`", self.phase.name),
            None if self.phase.to.is_some() => format!("phase `{}`, {default_name}", self.phase.name),
            None => format!("phase `{}`", self.phase.name),
        };
        self.divide(mix, &BigRational::one(), &place, &mut shares)?;
        let sum: BigRational = shares.iter().sum();
        if !sum.is_one() {
            return Err(refuse::failed(format!("{place}: the shares sum to {sum}, not to one")));
        }
        Ok(shares)
    }

    /// Divides `whole` (a share of the phase) among the lines of `mix`, adding to `shares`.
    fn divide(&self, mix: &Mix, whole: &BigRational, place: &str, shares: &mut [BigRational]) -> Result<()> {
        let mut parts: Vec<Option<BigRational>> = Vec::with_capacity(mix.entries.len());
        let mut left = whole.clone();
        let mut relative = BigRational::zero();
        let mut rests = 0;
        for entry in &mix.entries {
            let part = self.absolute(entry, whole, place)?;
            match (&part, &entry.weight) {
                (Some(part), _) => left -= part,
                (None, Weight::Relative(weight)) if weight.is_negative() => {
                    return Err(refuse::curriculum(format!("{place}: a weight below zero ({weight})")));
                }
                (None, Weight::Relative(weight)) => relative += weight,
                (None, _) => rests += 1,
            }
            parts.push(part);
        }
        if left.is_negative() {
            return Err(self.too_much(mix, &parts, whole, place));
        }
        if rests > 1 || (rests == 1 && relative.is_positive()) {
            return Err(refuse::curriculum(format!(
                "{place}: `rest` takes all that is left, so it stands once and beside no bare number"
            )));
        }
        if left.is_positive() && rests == 0 && relative.is_zero() {
            return Err(self.too_little(mix, &left, whole, place));
        }
        if left.is_zero() && whole.is_positive() && (rests == 1 || relative.is_positive()) {
            let starved: Vec<String> = (mix.entries.iter().zip(&parts))
                .filter(|(entry, part)| part.is_none() && !is_zero(&entry.weight))
                .map(|(entry, _)| format!("`{}`", self.name(&entry.of)))
                .collect();
            return Err(self.refusal(
                mix,
                format!("{place}: absolute lines take all of it; nothing is left for {}", starved.join(", ")),
                "  what would make it feasible: smaller absolute lines, or no line for what gets nothing\n",
            ));
        }
        for (entry, part) in mix.entries.iter().zip(parts) {
            let part = match (part, &entry.weight) {
                (Some(part), _) => part,
                (None, Weight::Relative(weight)) if relative.is_positive() => &left * weight / &relative,
                (None, Weight::Relative(_)) => BigRational::zero(),
                (None, _) => left.clone(),
            };
            self.give(entry, &part, place, shares)?;
        }
        Ok(())
    }

    /// The share of the phase that an absolute line takes; `None` for relative lines and `rest`.
    fn absolute(&self, entry: &MixEntry, whole: &BigRational, place: &str) -> Result<Option<BigRational>> {
        Ok(match &entry.weight {
            Weight::Percent(share) => Some(whole * share),
            // Tokens of the phase, as its budget: both are multiplied by the scale, which cancels.
            Weight::Tokens(tokens) => Some(BigRational::new((*tokens).into(), self.phase.tokens.max(1).into())),
            Weight::Epochs(epochs) => {
                let parts = self.epochs(&entry.of, epochs, place)?;
                Some(parts.values().sum())
            }
            Weight::Relative(_) | Weight::Rest => None,
        })
    }

    /// Hands a part of the phase to a source, or divides it within a group.
    fn give(&self, entry: &MixEntry, part: &BigRational, place: &str, shares: &mut [BigRational]) -> Result<()> {
        match &entry.of {
            MixPart::Source(source) => self.add(*source, part, shares),
            MixPart::Group { name, split: Split::Mix(mix) } => {
                self.divide(mix, part, &format!("{place}, group `{name}`"), shares)
            }
            MixPart::Group { name, split: Split::Size { members, boost } } => {
                if let Weight::Epochs(epochs) = &entry.weight {
                    for (source, part) in self.epochs(&entry.of, epochs, place)? {
                        self.add(source, &part, shares)?;
                    }
                    return Ok(());
                }
                let (sizes, total) = self.boosted(members, boost);
                if total.is_zero() && part.is_positive() {
                    return Err(refuse::infeasible(
                        format!("{place}: group `{name}` is shared by size, but none of its sources has a token"),
                        "",
                    ));
                }
                for (source, size) in sizes {
                    if part.is_positive() {
                        self.add(source, &(part * size / &total), shares)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn add(&self, source: SourceId, part: &BigRational, shares: &mut [BigRational]) -> Result<()> {
        let share = shares.get_mut(source).ok_or_else(|| {
            refuse::failed(format!("phase `{}` names source {source}, which does not exist", self.phase.name))
        })?;
        *share += part;
        Ok(())
    }

    /// What a line in epochs takes: whole windows as shares of the phase, by source (for a group with a mix of its own: under
    /// the first source it names, since only the sum is asked for).
    fn epochs(&self, of: &MixPart, epochs: &BigRational, place: &str) -> Result<BTreeMap<SourceId, BigRational>> {
        let window = BigInt::from(self.window_tokens);
        // Stored tokens count for epochs: `2x` is 2 × U / W windows.
        let share = |tokens: BigRational| {
            let windows = tokens * epochs * self.scale / BigRational::from_integer(window.clone());
            // Below one window the fraction stays, so that it is refused and not silently lost.
            let windows = if windows >= BigRational::one() { windows.floor() } else { windows };
            windows / BigRational::from_integer(self.windows.into())
        };
        let mut out = BTreeMap::new();
        match of {
            MixPart::Source(source) => {
                out.insert(*source, share(self.unique(*source)));
            }
            MixPart::Group { split: Split::Size { members, boost }, .. } => {
                let (sizes, total) = self.boosted(members, boost);
                let unique: BigRational = members.iter().map(|source| self.unique(*source)).sum();
                for (source, size) in sizes {
                    if total.is_positive() {
                        *out.entry(source).or_insert_with(BigRational::zero) += share(&unique * size / &total);
                    }
                }
            }
            MixPart::Group { name, split: Split::Mix(mix) } => {
                let members: Vec<SourceId> = (0..self.curriculum.sources.len())
                    .filter(|source| self.curriculum.sources[*source].group.as_ref() == Some(name))
                    .collect();
                let members = if members.is_empty() { reachable(mix) } else { members };
                let unique: BigRational = members.iter().map(|source| self.unique(*source)).sum();
                out.insert(members.first().copied().unwrap_or(0), share(unique));
            }
        }
        if epochs.is_positive() && out.values().all(Zero::is_zero) {
            return Err(refuse::infeasible(
                format!("{place}: `{}` is asked for in epochs, but has no token", self.name(of)),
                "",
            ));
        }
        Ok(out)
    }

    fn unique(&self, source: SourceId) -> BigRational {
        let tokens = self.sources.get(source).map_or(0, |source| source.size.tokens);
        BigRational::from_integer(tokens.into())
    }

    /// Unique tokens times boost of each member, and their sum.
    fn boosted(
        &self,
        members: &[SourceId],
        boost: &BTreeMap<SourceId, BigRational>,
    ) -> (Vec<(SourceId, BigRational)>, BigRational) {
        let sizes: Vec<(SourceId, BigRational)> = members
            .iter()
            .map(|source| match boost.get(source) {
                Some(factor) => (*source, self.unique(*source) * factor),
                None => (*source, self.unique(*source)),
            })
            .collect();
        let total = sizes.iter().map(|(_, size)| size).sum();
        (sizes, total)
    }

    fn name(&self, of: &MixPart) -> String {
        match of {
            MixPart::Source(source) => {
                self.sources.get(*source).map_or_else(|| format!("source {source}"), |source| source.name.clone())
            }
            MixPart::Group { name, .. } => name.clone(),
        }
    }

    fn too_much(&self, mix: &Mix, parts: &[Option<BigRational>], whole: &BigRational, place: &str) -> Error {
        let lines: Vec<String> = (mix.entries.iter().zip(parts))
            .filter_map(|(entry, part)| Some((entry, part.as_ref()?)))
            .map(|(entry, part)| format!("  {}: {} of the phase\n", self.name(&entry.of), percent(part)))
            .collect();
        let sum: BigRational = parts.iter().flatten().sum();
        let over = &sum - whole;
        self.refusal(
            mix,
            format!(
                "{place}: absolute lines come to {} of the phase, where {} can be had",
                percent(&sum),
                percent(whole)
            ),
            &format!(
                "{}  what would make it feasible: {} less among these lines, or a longer phase\n",
                lines.concat(),
                number::tokens(self.trained(&over))
            ),
        )
    }

    fn too_little(&self, mix: &Mix, left: &BigRational, whole: &BigRational, place: &str) -> Error {
        self.refusal(
            mix,
            format!(
                "{place}: absolute lines leave {} of {} ({} tokens), and no line takes it",
                percent(left),
                if whole.is_one() { "the phase".to_owned() } else { percent(whole) },
                number::tokens(self.trained(left))
            ),
            "  what would make it feasible: a line with `rest` or with a bare number\n",
        )
    }

    /// Trained positions in a share of the phase, rounded up.
    fn trained(&self, share: &BigRational) -> u64 {
        let tokens = share
            * BigRational::from_integer(self.windows.into())
            * BigRational::from_integer(self.phase.sequence_length.into());
        tokens.ceil().to_integer().to_u64().unwrap_or(u64::MAX)
    }

    /// What hangs on sizes or budgets is not feasible; what percentages alone say is wrong in the curriculum.
    fn refusal(&self, mix: &Mix, summary: String, story: &str) -> Error {
        let early = mix.entries.iter().all(|entry| !matches!(entry.weight, Weight::Epochs(_)));
        if early {
            let rendered = format!("error: {summary}\n\n{story}");
            Error::Curriculum { rendered, summary }
        } else {
            refuse::infeasible(summary, story)
        }
    }
}

fn is_zero(weight: &Weight) -> bool {
    matches!(weight, Weight::Relative(weight) if weight.is_zero())
}

fn percent(share: &BigRational) -> String {
    number::percent(share.to_f64().unwrap_or(f64::NAN))
}
