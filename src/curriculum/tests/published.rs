//! The files of `curricula/` and `schemas/`.

use std::path::{Path, PathBuf};

use num_rational::BigRational;
use num_traits::{One, Zero};

use super::super::checked::{Curriculum, Mix, MixPart, Split, Weight};
use super::super::{load, schema, schema_text, yaml};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn curricula() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs_err::read_dir(repository().join("curricula"))
        .expect("curricula/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files
}

#[test]
fn the_schema_file_is_current() {
    let path = repository().join("schemas/curriculum.schema.json");
    if std::env::var_os("SYLLABUS_WRITE_SCHEMAS").is_some() {
        fs_err::write(&path, schema_text()).expect("written");
    }
    let file = fs_err::read_to_string(&path).expect("schemas/curriculum.schema.json");
    assert!(
        file == schema_text(),
        "schemas/curriculum.schema.json is not what the types say: run this test with SYLLABUS_WRITE_SCHEMAS=1, or `cargo xtask schemas`"
    );
}

#[test]
fn every_curriculum_is_valid() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    for path in curricula() {
        let loaded = load(&path, false).unwrap_or_else(|error| match error {
            crate::Error::Curriculum { rendered, .. } => panic!("{rendered}"),
            other => panic!("{other}"),
        });
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        let json = yaml::parse(&loaded.text).expect("YAML").to_json();
        let errors: Vec<String> =
            validator.iter_errors(&json).map(|error| format!("{} at {}", error, error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

/// Adds what a mix takes of `budget` tokens to the sources, by the design's rules: absolute weights, then relative ones, then the rest.
fn take(mix: &Mix, budget: &BigRational, sizes: &[BigRational], taken: &mut [BigRational]) {
    let relative: BigRational = mix
        .entries
        .iter()
        .filter_map(|entry| if let Weight::Relative(number) = &entry.weight { Some(number) } else { None })
        .sum();
    let size = |part: &MixPart| match part {
        MixPart::Source(source) => sizes[*source].clone(),
        MixPart::Group { split: Split::Size { members, .. }, .. } => members.iter().map(|member| &sizes[*member]).sum(),
        MixPart::Group { .. } => panic!("epochs of a nested mix"),
    };
    let absolute: Vec<Option<BigRational>> = mix
        .entries
        .iter()
        .map(|entry| match &entry.weight {
            Weight::Percent(share) => Some(share * budget),
            Weight::Tokens(tokens) => Some(BigRational::from_integer((*tokens).into())),
            Weight::Epochs(factor) => Some(factor * size(&entry.of)),
            Weight::Relative(_) | Weight::Rest => None,
        })
        .collect();
    let left = budget - absolute.iter().flatten().sum::<BigRational>();
    assert!(left >= BigRational::zero());
    for (entry, absolute) in mix.entries.iter().zip(absolute) {
        let part = match (&entry.weight, absolute) {
            (_, Some(absolute)) => absolute,
            (Weight::Relative(number), None) => &left * number / &relative,
            (_, None) => left.clone(),
        };
        match &entry.of {
            MixPart::Source(source) => taken[*source] += part,
            MixPart::Group { split: Split::Mix(mix), .. } => take(mix, &part, sizes, taken),
            MixPart::Group { split: Split::Size { members, boost }, .. } => {
                let weight =
                    |member: &usize| &sizes[*member] * boost.get(member).cloned().unwrap_or_else(BigRational::one);
                let sum: BigRational = members.iter().map(weight).sum();
                for member in members {
                    taken[*member] += &part * weight(member) / &sum;
                }
            }
        }
    }
}

/// Tokens of each source up to the end of each phase.
fn read(curriculum: &Curriculum, sizes: &[BigRational]) -> Vec<Vec<BigRational>> {
    let mut taken = vec![BigRational::zero(); sizes.len()];
    curriculum
        .phases
        .iter()
        .map(|phase| {
            let budget = BigRational::from_integer(phase.tokens.into());
            // Over a linear ramp, half of the budget goes by each end's shares.
            let ends: Vec<&Mix> = [Some(&phase.from), phase.to.as_ref()].into_iter().flatten().collect();
            let mut sum = vec![BigRational::zero(); sizes.len()];
            for end in &ends {
                take(end, &budget, sizes, &mut sum);
            }
            let ends = BigRational::from_integer(ends.len().into());
            assert_eq!(sum.iter().sum::<BigRational>(), &budget * &ends, "phase {} is filled", phase.name);
            for (taken, sum) in taken.iter_mut().zip(sum) {
                *taken += sum / &ends;
            }
            taken.clone()
        })
        .collect()
}

/// No source is read more often than it may be, by the declared sizes; a two-hundredth is left for the label token of each window and rounding.
#[test]
fn declared_sizes_suffice() {
    for path in curricula() {
        let curriculum = load(&path, false).expect("valid").curriculum;
        let Some(sizes) = curriculum.sources.iter().map(|source| source.tokens).collect::<Option<Vec<u64>>>() else {
            continue;
        };
        let sizes: Vec<BigRational> =
            sizes.into_iter().map(|tokens| BigRational::from_integer(tokens.into())).collect();
        let taken = read(&curriculum, &sizes).pop().expect("a phase");
        for ((source, size), taken) in curriculum.sources.iter().zip(&sizes).zip(taken) {
            let epochs = taken / size;
            let most = BigRational::new(199.into(), 200.into())
                * BigRational::from_integer(source.max_epochs.unwrap_or(1).into());
            let told = crate::curriculum::units::decimal_text(&epochs);
            assert!(epochs <= most, "{}: {} is read {told} times", path.display(), source.name);
        }
    }
}

#[test]
fn arctic_is_what_was_published() {
    let curriculum = load(&repository().join("curricula/arctic.yaml"), false).expect("valid").curriculum;
    let lengths: Vec<u64> = curriculum.phases.iter().map(|phase| phase.tokens).collect();
    assert_eq!(lengths, [1_000_000_000_000, 1_500_000_000_000, 1_000_000_000_000]);
    assert_eq!(curriculum.sequence_length, 4096);
    let sizes: Vec<BigRational> = curriculum
        .sources
        .iter()
        .map(|source| BigRational::from_integer(source.tokens.expect("declared").into()))
        .collect();
    let cumulative = read(&curriculum, &sizes);
    let share = |phase: usize, sources: &[&str]| {
        let sum = |phase: usize| -> BigRational {
            let named = curriculum
                .sources
                .iter()
                .zip(&cumulative[phase])
                .filter(|(source, _)| sources.contains(&source.name.as_str()));
            named.map(|(_, taken)| taken).sum()
        };
        let before = if phase == 0 { BigRational::zero() } else { sum(phase - 1) };
        (sum(phase) - before) / BigRational::from_integer(lengths[phase].into())
    };
    let ratio = |numerator: i64, denominator: i64| BigRational::new(numerator.into(), denominator.into());
    assert_eq!(share(0, &["web"]), ratio(75, 100));
    assert_eq!(share(1, &["github", "sql"]), ratio(192, 1000));
    assert_eq!(share(2, &["web"]), ratio(52, 100));
    assert!(share(2, &["github", "sql"]) > ratio(26, 100));
}

#[test]
fn the_demo_finds_its_fixtures() {
    let loaded = load(&repository().join("curricula/demo.yaml"), false).expect("valid");
    let resolved = loaded.resolve(None).unwrap_or_else(|error| match error {
        crate::Error::Curriculum { rendered, .. } => panic!("{rendered}"),
        other => panic!("{other}"),
    });
    assert_eq!(resolved.files.len(), loaded.curriculum.sources.len());
}

/// The real corpus is not the project's: it lies beside the repository, or where `SYLLABUS_REALDATA` says.
#[test]
fn realdata_finds_its_files_where_there_are_any() {
    let data =
        std::env::var_os("SYLLABUS_REALDATA").map_or_else(|| repository().join("../shared/realdata"), PathBuf::from);
    if !data.is_dir() {
        eprintln!("NOT CHECKED: {} is not there; SYLLABUS_REALDATA names the real corpus", data.display());
        return;
    }
    let loaded = load(&repository().join("curricula/realdata.yaml"), false).expect("valid");
    let resolved = loaded.resolve(Some(&data)).unwrap_or_else(|error| match error {
        crate::Error::Curriculum { rendered, .. } => panic!("{rendered}"),
        other => panic!("{other}"),
    });
    assert_eq!(resolved.files.iter().map(Vec::len).sum::<usize>(), 29);
}
