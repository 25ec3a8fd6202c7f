//! `cargo xtask supply`: every crate that is built has a licence that `deny.toml` allows, comes from crates.io, is not banned,
//! and has one version, or a reason for more.
//!
//! `cargo deny` checks the same file and more; this needs nothing but cargo, so it can run everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::testing::{cargo, starts, succeed};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for the crates of this repository.
    source: Option<String>,
}

/// The lists of `deny.toml`.
#[derive(Debug, Default, PartialEq)]
struct Rules {
    licences: BTreeSet<String>,
    /// Crate → the one licence that it may have besides.
    exceptions: BTreeMap<String, String>,
    banned: BTreeSet<String>,
    /// `name@version` of versions that may stand beside another one.
    skipped: BTreeSet<String>,
}

/// How many crates were looked at, how many of them in a second version, and what is wrong.
pub struct Found {
    pub crates: usize,
    pub doubled: usize,
    pub wrong: Vec<String>,
}

/// Looks at all crates.
pub fn look(root: &Path) -> Result<Found> {
    let rules = rules(&fs_err::read_to_string(root.join("deny.toml"))?)?;
    let output =
        Command::new(cargo()).args(["metadata", "--format-version", "1", "--locked"]).current_dir(root).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let doubled = doubled(&metadata.packages).values().map(|versions| versions.len() - 1).sum();
    Ok(Found { crates: metadata.packages.len(), doubled, wrong: judge(&rules, &metadata.packages) })
}

/// Looks, asks `cargo deny` too where it is installed, and fails when something is wrong.
pub fn run(root: &Path) -> Result<()> {
    let found = look(root)?;
    if !found.wrong.is_empty() {
        bail!("deny.toml does not allow:\n{}", found.wrong.join("\n"));
    }
    println!("supply: {} crates, {} of them second versions with a reason", found.crates, found.doubled);
    if starts(Command::new(cargo()).args(["deny", "--version"])) {
        let check = ["deny", "--offline", "check", "licenses", "bans", "sources"];
        succeed(Command::new(cargo()).args(check).current_dir(root))?;
    } else {
        println!("supply: NOT RUN: cargo deny, which is not installed");
    }
    println!("supply: NOT RUN: advisories, whose database needs a network: `cargo deny check advisories`");
    Ok(())
}

/// All quoted strings of a line.
fn quoted(line: &str) -> Vec<&str> {
    line.split('#').next().unwrap_or("").split('"').skip(1).step_by(2).collect()
}

/// Reads the lists, which have an entry a line.
fn rules(text: &str) -> Result<Rules> {
    let (mut rules, mut section, mut list) = (Rules::default(), "", "");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')).filter(|_| list.is_empty()) {
            section = name;
        } else if let Some(name) = line.strip_suffix("= [") {
            list = name.trim_end();
        } else if line == "]" {
            list = "";
        } else {
            let strings = quoted(line);
            let first =
                || strings.first().map(|name| (*name).to_owned()).with_context(|| format!("deny.toml: `{line}`"));
            match (section, list) {
                ("licenses", "allow") => drop(rules.licences.insert(first()?)),
                ("licenses", "exceptions") => {
                    let [name, licence] = strings[..] else { bail!("deny.toml: `{line}`") };
                    rules.exceptions.insert(name.to_owned(), licence.to_owned());
                }
                ("bans", "deny") => drop(rules.banned.insert(first()?)),
                ("bans", "skip") => {
                    ensure!(strings.len() == 2, "deny.toml: `{line}` gives no reason");
                    rules.skipped.insert(first()?);
                }
                (_, "") => {}
                _ => bail!("deny.toml: `{line}` stands in a list that `cargo xtask supply` does not know"),
            }
        }
    }
    ensure!(!rules.licences.is_empty(), "deny.toml allows no licence");
    Ok(rules)
}

/// Crates with more than one version, and these.
fn doubled(packages: &[Package]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

fn judge(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("");
        let allowed = |one: &str| {
            rules.licences.contains(one) || rules.exceptions.get(&package.name).is_some_and(|also| also == one)
        };
        match Licence::allows(licence, &allowed) {
            Some(true) => {}
            Some(false) => wrong.push(format!("{name}: its licence `{licence}`")),
            None => wrong.push(format!("{name}: its licence `{licence}`, which is no expression of licences")),
        }
        if let Some(source) = package
            .source
            .as_ref()
            .filter(|source| !source.starts_with("registry+https://github.com/rust-lang/crates.io-index"))
        {
            wrong.push(format!("{name}: its source {source}"));
        }
        if rules.banned.contains(&package.name) {
            wrong.push(format!("{name}: it is banned"));
        }
    }
    let doubled = doubled(packages);
    // Build metadata (`0.7.5+spec-1.1.0`) is no part of what a version is.
    let plain = |version: &str| version.split('+').next().unwrap_or(version).to_owned();
    for (name, versions) in &doubled {
        let left: Vec<String> =
            versions.iter().map(|v| plain(v)).filter(|v| !rules.skipped.contains(&format!("{name}@{v}"))).collect();
        if left.len() > 1 {
            wrong.push(format!("{name}: its versions {} at once, without a reason", left.join(", ")));
        }
    }
    for skipped in &rules.skipped {
        let there = skipped.split_once('@').is_some_and(|(name, version)| {
            doubled.get(name).is_some_and(|versions| versions.iter().any(|of| plain(of) == version))
        });
        if !there {
            wrong.push(format!("the reason for {skipped}: there is no second version any more"));
        }
    }
    wrong
}

/// An expression of licences: names joined by `OR` (or `/`), `AND` and parentheses.
struct Licence<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Licence<'a> {
    /// Whether an expression can be met by licences that are allowed; none when it is no expression.
    fn allows(text: &'a str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut licence = Licence { words: spaced.split_whitespace().collect(), at: 0 };
        let found = licence.either(allowed)?;
        (licence.at == licence.words.len()).then_some(found)
    }

    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.get(self.at) == Some(&word);
        self.at += usize::from(is);
        is
    }

    fn either(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        let mut found = self.both(allowed)?;
        while self.next_is("OR") {
            found |= self.both(allowed)?;
        }
        Some(found)
    }

    fn both(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        let mut found = self.one(allowed)?;
        while self.next_is("AND") {
            found &= self.one(allowed)?;
        }
        Some(found)
    }

    fn one(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        if self.next_is("(") {
            let found = self.either(allowed)?;
            return self.next_is(")").then_some(found);
        }
        let word = |at: usize| self.words.get(at).filter(|word| !["OR", "AND", "WITH", "(", ")"].contains(word));
        let name = word(self.at)?;
        if self.words.get(self.at + 1) == Some(&"WITH") {
            let name = format!("{name} WITH {}", word(self.at + 2)?);
            self.at += 3;
            return Some(allowed(&name));
        }
        let found = allowed(name);
        self.at += 1;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_licences() {
        let allowed = |name: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&name);
        for (text, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0", Some(false)),
            ("MIT OR GPL-3.0", Some(true)),
            ("MIT/GPL-3.0", Some(true)),
            ("MIT AND GPL-3.0", Some(false)),
            ("GPL-3.0 OR MIT AND Zlib", Some(true)),
            ("(GPL-3.0 OR MIT) AND GPL-2.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT Zlib", None),
        ] {
            assert_eq!(Licence::allows(text, &allowed), expected, "{text}");
        }
    }

    fn package(name: &str, version: &str, licence: &str, source: Option<&str>) -> Package {
        let source = source.map(str::to_owned);
        Package { name: name.to_owned(), version: version.to_owned(), license: Some(licence.to_owned()), source }
    }

    #[test]
    fn what_is_not_allowed_is_said() {
        let text = "[licenses]\nallow = [\n  \"MIT\",\n]\nexceptions = [\n  { crate = \"gen\", allow = [\"MPL-2.0\"] }, # \"x\"\n]\n\
                    [bans]\nmultiple-versions = \"deny\"\ndeny = [\n  { crate = \"bad\", reason = \"r\" },\n]\n\
                    skip = [\n  { crate = \"two@1.0.0\", reason = \"r\" },\n  { crate = \"gone@1.0.0\", reason = \"r\" },\n]\n";
        let rules = rules(text).unwrap();
        let crates_io = Some("registry+https://github.com/rust-lang/crates.io-index");
        let packages = [
            package("gen", "1.0.0", "MPL-2.0", crates_io),
            package("ours", "0.1.0", "MIT", None),
            package("two", "1.0.0", "MIT", crates_io),
            package("two", "2.0.0+build", "MIT", crates_io),
        ];
        assert_eq!(judge(&rules, &packages), ["the reason for gone@1.0.0: there is no second version any more"]);
        let packages = [
            package("other", "1.0.0", "MPL-2.0", crates_io),
            package("bad", "1.0.0", "MIT", crates_io),
            package("git", "1.0.0", "MIT", Some("git+https://example.org/git")),
            package("more", "1.0.0", "MIT", crates_io),
            package("more", "2.0.0", "MIT", crates_io),
        ];
        let wrong = judge(&rules, &packages).join("\n");
        for said in [
            "other 1.0.0: its licence",
            "bad 1.0.0: it is banned",
            "git 1.0.0: its source",
            "more: its versions 1.0.0, 2.0.0",
        ] {
            assert!(wrong.contains(said), "{said} in {wrong}");
        }
        assert!(super::rules(&text.replace(", reason = \"r\"", "")).is_err());
    }
}
