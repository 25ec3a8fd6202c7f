//! Mixes: names get their meaning, and weights that cannot be are told.

use std::collections::{BTreeMap, BTreeSet};

use num_rational::BigRational;
use num_traits::{One, Zero};

use super::Check;
use crate::curriculum::checked::{Mix, MixEntry, MixPart, SourceId, Split, Weight};
use crate::curriculum::diagnostics::{Diagnostic, Span};
use crate::curriculum::names::{self, Meaning};
use crate::curriculum::raw::{Item, RawBoost, RawCurriculum, RawMix, RawMixRef, RawOf, RawPart, RawShare, Text};
use crate::curriculum::units;

/// How deep mixes may nest, through `of:` and through names.
const MAX_DEPTH: usize = 16;

/// A checked mix that still knows its places.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    name: Option<String>,
    at: Span,
    branches: Vec<Branch>,
}

#[derive(Debug, Clone)]
struct Branch {
    weight: Weight,
    name: String,
    at: Span,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    Source(SourceId),
    Size { members: Vec<SourceId>, boost: BTreeMap<SourceId, BigRational> },
    Mix(Tree),
}

impl Tree {
    /// The plain type.
    pub(super) fn to_mix(&self) -> Mix {
        let entries = self.branches.iter().map(|branch| MixEntry {
            weight: branch.weight.clone(),
            of: match &branch.part {
                Part::Source(source) => MixPart::Source(*source),
                Part::Size { members, boost } => MixPart::Group {
                    name: branch.name.clone(),
                    split: Split::Size { members: members.clone(), boost: boost.clone() },
                },
                Part::Mix(tree) => MixPart::Group { name: branch.name.clone(), split: Split::Mix(tree.to_mix()) },
            },
        });
        Mix { name: self.name.clone(), entries: entries.collect() }
    }

    /// Every source with the place of the line that names it.
    pub(super) fn sources(&self) -> Vec<(SourceId, &Span)> {
        let mut sources = Vec::new();
        for branch in &self.branches {
            match &branch.part {
                Part::Source(source) => sources.push((*source, &branch.at)),
                Part::Size { members, .. } => sources.extend(members.iter().map(|source| (*source, &branch.at))),
                Part::Mix(tree) => sources.extend(tree.sources()),
            }
        }
        sources
    }
}

/// The mixes of a curriculum: named ones are checked once, when first used or at the end.
pub(super) struct Mixes<'a> {
    raw: BTreeMap<&'a str, Option<&'a RawMix>>,
    done: BTreeMap<&'a str, Option<Tree>>,
    open: Vec<&'a str>,
    used: BTreeSet<&'a str>,
}

impl<'a> Mixes<'a> {
    pub(super) fn new(raw: &'a RawCurriculum, check: &mut Check<'_>) -> Self {
        let mut mixes = Self { raw: BTreeMap::new(), done: BTreeMap::new(), open: Vec::new(), used: BTreeSet::new() };
        for entry in raw.mixes.value().map_or(&[][..], |mixes| &mixes.entries) {
            names::check(&entry.name, "mix", &entry.name_at, check.out);
            mixes.raw.insert(&entry.name, entry.value.value());
        }
        mixes
    }

    /// Checks the mixes that no phase names: a file may hold variants.
    pub(super) fn finish(&mut self, check: &mut Check<'_>) {
        let all: Vec<&'a str> = self.raw.keys().copied().collect();
        for name in all {
            if !self.used.contains(name) {
                self.build_named(name, check);
            }
        }
    }

    /// The mix that a phase refers to. `None` when it cannot be used (this has been said).
    pub(super) fn get(&mut self, mix: &'a RawMixRef, check: &mut Check<'_>) -> Option<Tree> {
        match mix {
            RawMixRef::Name(name) => self.named(name, check),
            RawMixRef::Mix(mix) => self.whole(mix, None, check),
        }
    }

    fn named(&mut self, name: &'a Item<Text>, check: &mut Check<'_>) -> Option<Tree> {
        let text = name.value.0.as_str();
        let Some((known, _)) = self.raw.get_key_value(text) else {
            let hint = if check.names.get(text).is_some() {
                Some(format!("`{text}` is a source or group: a mix of it alone is `{{{text}: 100%}}`"))
            } else {
                names::suggestion(text, self.raw.keys().copied())
            };
            check.push(Diagnostic::error(name.at.clone(), format!("no mix is named `{text}`")).maybe_hint(hint));
            return None;
        };
        let known = *known;
        self.used.insert(known);
        if self.open.contains(&known) || self.open.len() >= MAX_DEPTH {
            let message = if self.open.contains(&known) {
                let circle: Vec<&str> = self.open.iter().copied().chain([known]).collect();
                format!("mixes in a circle: {}", circle.join(" → "))
            } else {
                format!("mixes nest more than {MAX_DEPTH} deep")
            };
            check.error(&name.at, message);
            return None;
        }
        self.build_named(known, check)
    }

    fn build_named(&mut self, name: &'a str, check: &mut Check<'_>) -> Option<Tree> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let raw = self.raw.get(name).copied().flatten();
        self.open.push(name);
        let tree = raw.and_then(|raw| self.whole(raw, Some(name), check));
        self.open.pop();
        self.done.insert(name, tree.clone());
        tree
    }

    /// A whole mix: a source may be in it once.
    fn whole(&mut self, raw: &'a RawMix, name: Option<&str>, check: &mut Check<'_>) -> Option<Tree> {
        let tree = self.level(raw, name, 0, check)?;
        let mut seen: BTreeMap<SourceId, &Span> = BTreeMap::new();
        let mut once = true;
        for (source, at) in tree.sources() {
            if let Some(first) = seen.insert(source, at) {
                let source = check.names.sources().find(|name| check.names.get(name) == Some(&Meaning::Source(source)));
                let message = format!("`{}` is in this mix twice, directly or through a group", source.unwrap_or(""));
                check
                    .push(Diagnostic::error(at.clone(), message).label("again here").also(first.clone(), "first here"));
                once = false;
            }
        }
        once.then_some(tree)
    }

    /// One level of a mix.
    fn level(&mut self, raw: &'a RawMix, name: Option<&str>, depth: usize, check: &mut Check<'_>) -> Option<Tree> {
        if raw.lines.entries.is_empty() {
            check.push(
                Diagnostic::error(raw.at.clone(), "this mix is empty")
                    .hint("write, for example, `{web: 75%, books: rest}`"),
            );
            return None;
        }
        if depth >= MAX_DEPTH {
            check.error(&raw.at, format!("mixes nest more than {MAX_DEPTH} deep"));
            return None;
        }
        let mut branches = Vec::with_capacity(raw.lines.entries.len());
        let mut weights = Vec::with_capacity(raw.lines.entries.len());
        let mut whole = true;
        for entry in &raw.lines.entries {
            let part = match entry.value.value() {
                Some(RawShare::Part(part)) => Some(&**part),
                _ => None,
            };
            let weight = match entry.value.value() {
                Some(RawShare::Weight(weight)) => Some(weight),
                Some(RawShare::Part(part)) => part.share.value(),
                None => None,
            };
            let at = match entry.value.given() {
                Some(Item { value: RawShare::Weight(_), at }) => at,
                Some(Item { value: RawShare::Part(part), .. }) => {
                    part.share.given().map_or(&entry.name_at, |share| &share.at)
                }
                None => &entry.name_at,
            };
            let members = self.part(&entry.name, &entry.name_at, part, depth, check);
            match (weight, members) {
                (Some(weight), Some(part)) => {
                    weights.push((weight.clone(), at.clone()));
                    branches.push(Branch {
                        weight: weight.clone(),
                        name: entry.name.clone(),
                        at: entry.name_at.clone(),
                        part,
                    });
                }
                (weight, _) => {
                    whole = false;
                    weights.extend(weight.map(|weight| (weight.clone(), at.clone())));
                }
            }
        }
        // With a weight missing, sums would be judged that are not what the author wrote.
        let weighed = weights.len() == raw.lines.entries.len() && weigh(&weights, &raw.at, check);
        (whole && weighed).then(|| Tree { name: name.map(str::to_owned), at: raw.at.clone(), branches })
    }

    /// What stands behind a name in a mix.
    fn part(
        &mut self,
        name: &str,
        at: &Span,
        part: Option<&'a RawPart>,
        depth: usize,
        check: &mut Check<'_>,
    ) -> Option<Part> {
        let meaning = check.names.get(name).cloned();
        let divided = part.filter(|part| !(part.of.is_absent() && part.by.is_absent() && part.boost.is_absent()));
        let members = match meaning {
            Some(Meaning::Source(source)) => {
                if divided.is_some() {
                    check.push(
                        Diagnostic::error(at.clone(), format!("`{name}` is a source, so there is nothing to divide"))
                            .hint("remove `of`, `by` and `boost`"),
                    );
                    return None;
                }
                return Some(Part::Source(source));
            }
            Some(Meaning::Group(members)) => Some(members),
            None => {
                // A share with members of its own may have any new name; one that looks misspelt is refused all the same.
                let near = names::nearest(name, check.names.all()).map(str::to_owned);
                let own = part.is_some_and(|part| !part.of.is_absent());
                if !own || near.is_some() {
                    let hint = match near {
                        Some(near) if own => Some(format!(
                            "did you mean `{near}`? A share with members of its own needs a name less like it"
                        )),
                        Some(near) => Some(format!("did you mean `{near}`?")),
                        None if self.raw.contains_key(name) => {
                            Some(format!("`{name}` is a mix: `{{share: 20%, of: {name}}}` takes a share of it"))
                        }
                        None => names::suggestion(name, check.names.all()),
                    };
                    check.push(
                        Diagnostic::error(at.clone(), format!("no source or group is named `{name}`")).maybe_hint(hint),
                    );
                    return None;
                }
                names::check(name, "group", at, check.out);
                None
            }
        };
        let Some(part) = divided else {
            return Some(Part::Size { members: members?, boost: BTreeMap::new() });
        };
        match part.of.given() {
            None if part.of.is_broken() => None,
            None => self.by_size(name, members?, part, check),
            Some(Item { value: RawOf::Members(list), .. }) => {
                let members = listed(list, members.as_deref().map(|members| (name, members)), check)?;
                self.by_size(name, members, part, check)
            }
            Some(Item { value: RawOf::Mix(mix), .. }) => {
                let tree = self.level(mix, None, depth + 1, check);
                nested(name, tree?, members.as_deref(), part, check)
            }
            Some(Item { value: RawOf::Name(mix), .. }) => {
                let tree = self.named(mix, check);
                nested(name, tree?, members.as_deref(), part, check)
            }
        }
    }

    fn by_size(&self, name: &str, members: Vec<SourceId>, part: &RawPart, check: &mut Check<'_>) -> Option<Part> {
        let mut boost = BTreeMap::new();
        if part.boost.is_broken() || part.by.is_broken() {
            return None;
        }
        let entries = part.boost.value().map_or(&[][..], |boost: &RawBoost| &boost.entries);
        for entry in entries {
            let factor = entry.value.given()?;
            match check.names.get(&entry.name) {
                Some(Meaning::Source(source)) if members.contains(source) => {
                    boost.insert(*source, factor.value.0.clone());
                }
                Some(_) => {
                    check.error(&entry.name_at, format!("`{}` is no member of `{name}`", entry.name));
                    return None;
                }
                None => {
                    let hint = names::suggestion(&entry.name, check.names.sources());
                    check.push(
                        Diagnostic::error(entry.name_at.clone(), format!("no source is named `{}`", entry.name))
                            .maybe_hint(hint),
                    );
                    return None;
                }
            }
            if factor.value.0.is_zero() {
                check.push(
                    Diagnostic::error(factor.at.clone(), "a factor is above 0")
                        .hint("to leave a member out, list the others: `of: [...]`"),
                );
                return None;
            }
        }
        Some(Part::Size { members, boost })
    }
}

/// The sources of a list; a group in it stands for its sources.
fn listed(list: &[Item<Text>], of: Option<(&str, &[SourceId])>, check: &mut Check<'_>) -> Option<Vec<SourceId>> {
    let mut members: BTreeMap<SourceId, &Span> = BTreeMap::new();
    let mut whole = true;
    for item in list {
        let name = &item.value.0;
        let sources = match check.names.get(name).cloned() {
            Some(Meaning::Source(source)) => vec![source],
            Some(Meaning::Group(sources)) => sources,
            None => {
                let hint = names::suggestion(name, check.names.all());
                check.push(
                    Diagnostic::error(item.at.clone(), format!("no source or group is named `{name}`"))
                        .maybe_hint(hint),
                );
                whole = false;
                continue;
            }
        };
        for source in sources {
            if let Some((group, _)) = of.filter(|(_, allowed)| !allowed.contains(&source)) {
                check.error(&item.at, format!("`{name}` is not in the group `{group}`"));
                whole = false;
                break;
            }
            if let Some(first) = members.insert(source, &item.at) {
                check.push(
                    Diagnostic::error(item.at.clone(), format!("`{name}` is listed twice"))
                        .also(first.clone(), "first here"),
                );
                whole = false;
                break;
            }
        }
    }
    whole.then(|| members.into_keys().collect())
}

/// A share divided by a mix: of a group, only the group's sources may be in it.
fn nested(name: &str, tree: Tree, members: Option<&[SourceId]>, part: &RawPart, check: &mut Check<'_>) -> Option<Part> {
    let sized = part.by.given().map(|by| &by.at).or_else(|| part.boost.given().map(|boost| &boost.at));
    if let Some(given) = sized {
        check.push(
            Diagnostic::error(given.clone(), "`by` and `boost` share by size, but `of` already gives weights")
                .hint("list the members instead, as in `of: [github, sql]`, or drop `by` and `boost`"),
        );
        return None;
    }
    if let Some(members) = members {
        for (source, at) in tree.sources() {
            if !members.contains(&source) {
                let stranger =
                    check.names.sources().find(|name| check.names.get(name) == Some(&Meaning::Source(source)));
                let message = format!("`{}` is not in the group `{name}`", stranger.unwrap_or(""));
                check.push(Diagnostic::error(at.clone(), message));
                return None;
            }
        }
    }
    Some(Part::Mix(tree))
}

/// Weights of one level that can be judged without sizes. `false` when they cannot be.
fn weigh(weights: &[(Weight, Span)], level: &Span, check: &mut Check<'_>) -> bool {
    let mut percent = BigRational::zero();
    let mut relative = BigRational::zero();
    let mut first_relative = None;
    let mut other_absolute = false;
    let mut rest: Option<&Span> = None;
    for (weight, at) in weights {
        match weight {
            Weight::Percent(share) => {
                let before = percent <= BigRational::one();
                percent += share;
                if before && percent > BigRational::one() {
                    let total: BigRational = weights
                        .iter()
                        .filter_map(|(weight, _)| if let Weight::Percent(share) = weight { Some(share) } else { None })
                        .sum();
                    check.push(
                        Diagnostic::error(
                            at.clone(),
                            format!("the percentages sum to {}", units::percent_text(&total)),
                        )
                        .label("above 100 % from here on")
                        .hint("lower them, or write bare numbers: these are normalised"),
                    );
                    return false;
                }
            }
            Weight::Relative(number) => {
                if first_relative.is_none() && !number.is_zero() {
                    first_relative = Some(at);
                }
                relative += number;
            }
            Weight::Tokens(tokens) => other_absolute |= *tokens > 0,
            Weight::Epochs(epochs) => other_absolute |= !epochs.is_zero(),
            Weight::Rest => {
                if let Some(first) = rest {
                    check.push(
                        Diagnostic::error(at.clone(), "`rest` stands twice in one mix")
                            .also(first.clone(), "first here")
                            .hint("only one line can take what is left; bare numbers divide it"),
                    );
                    return false;
                }
                rest = Some(at);
            }
        }
    }
    if let (Some(rest), Some(number)) = (rest, first_relative) {
        check.push(
            Diagnostic::error(rest.clone(), "bare numbers already divide all that is left, so `rest` gets nothing")
                .also(number.clone(), "a bare number")
                .hint("write the bare numbers as percentages, or `rest` as a bare number"),
        );
        return false;
    }
    if let Some(flexible) = rest.or(first_relative) {
        if percent.is_one() {
            check.push(
                Diagnostic::error(flexible.clone(), "the percentages sum to 100 %, so nothing is left for this")
                    .hint("lower a percentage, or remove this line"),
            );
            return false;
        }
        return true;
    }
    if percent.is_one() || other_absolute {
        if percent.is_one() && other_absolute {
            let at = weights.iter().find(|(weight, _)| {
                matches!(weight, Weight::Tokens(1..)) || matches!(weight, Weight::Epochs(epochs) if !epochs.is_zero())
            });
            check.push(
                Diagnostic::error(
                    at.map_or_else(|| level.clone(), |(_, at)| at.clone()),
                    "the percentages sum to 100 %, so nothing is left for this",
                )
                .hint("lower a percentage, or remove this line"),
            );
            return false;
        }
        // Tokens and epochs: whether they fill the level is known once the phase's budget and the sizes are.
        return true;
    }
    if percent.is_zero() {
        check.error(level, "nothing in this mix has a share");
        return false;
    }
    let missing = BigRational::one() - &percent;
    check.push(
        Diagnostic::error(
            level.clone(),
            format!(
                "the percentages sum to {}, and {} are given to nothing",
                units::percent_text(&percent),
                units::percent_text(&missing)
            ),
        )
        .hint("give one line `rest`, or write bare numbers: these are normalised"),
    );
    false
}

/// Judges absolute weights against a budget in tokens, level by level, as far as it is known without sizes.
/// `at` is where the phase names the mix.
pub(super) fn spread(tree: &Tree, budget: &BigRational, at: &Span, check: &mut Check<'_>) {
    let mut fixed = BigRational::zero();
    let mut relative = BigRational::zero();
    let (mut rest, mut epochs) = (false, false);
    for branch in &tree.branches {
        match &branch.weight {
            Weight::Percent(share) => fixed += share * budget,
            Weight::Tokens(tokens) => fixed += BigRational::from_integer((*tokens).into()),
            Weight::Epochs(factor) => epochs |= !factor.is_zero(),
            Weight::Relative(number) => relative += number,
            Weight::Rest => rest = true,
        }
    }
    let left = budget - &fixed;
    let flexible = rest || !relative.is_zero();
    let number = |value: &BigRational| {
        let whole = value.round().to_integer();
        u64::try_from(whole.clone()).map_or_else(|_| whole.to_string(), units::tokens_text)
    };
    let told = |message: String, hint: &str| {
        let mut diagnostic = Diagnostic::error(at.clone(), message).hint(hint);
        if tree.at != *at {
            diagnostic = diagnostic.also(tree.at.clone(), "these weights");
        }
        diagnostic
    };
    if fixed > *budget {
        check.push(told(
            format!("the absolute weights come to {} tokens, but there are {}", number(&fixed), number(budget)),
            "lower them, or raise the phase's budget",
        ));
        return;
    }
    if !epochs && left.is_zero() && flexible {
        check.push(told(
            format!(
                "the absolute weights take all of the {} tokens, so nothing is left for the other lines",
                number(budget)
            ),
            "lower them, or remove the other lines",
        ));
        return;
    }
    if !epochs && !flexible && !left.is_zero() {
        check.push(told(
            format!(
                "the weights come to {} of {} tokens: {} are given to nothing",
                number(&fixed),
                number(budget),
                number(&left)
            ),
            "give one line `rest`",
        ));
        return;
    }
    for branch in &tree.branches {
        let Part::Mix(tree) = &branch.part else { continue };
        let within = match &branch.weight {
            Weight::Percent(share) => Some(share * budget),
            Weight::Tokens(tokens) => Some(BigRational::from_integer((*tokens).into())),
            Weight::Relative(number) if !epochs && !relative.is_zero() => Some(&left * number / &relative),
            Weight::Rest if !epochs => Some(left.clone()),
            _ => None,
        };
        // A level that gets nothing is judged by the level that it belongs to.
        if let Some(within) = within.filter(|within| !within.is_zero()) {
            spread(tree, &within, at, check);
        }
    }
}
