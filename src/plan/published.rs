//! The published curricula of `curricula/` plan without data, and their figures come out.

use num_rational::BigRational;
use num_traits::{One, ToPrimitive};
use syllabus_reader::format::TokenDtype;

use super::text::WIDTH;
use super::*;

fn load(name: &str) -> Curriculum {
    let path = format!("{}/curricula/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = fs_err::read_to_string(&path).unwrap();
    crate::curriculum::parse(&text, &path, false).unwrap_or_else(|error| panic!("{error}"))
}

/// Plans at full size, shows the tables, and answers the plan.
fn planned(name: &str) -> (Curriculum, Plan) {
    let curriculum = load(name);
    let sizes = declared_sizes(&curriculum).unwrap();
    let plan = match plan(&curriculum, &sizes, &BigRational::one(), 2) {
        Ok(plan) => plan,
        Err(crate::Error::Infeasible { rendered, .. } | crate::Error::Curriculum { rendered, .. }) => {
            panic!("{rendered}")
        }
        Err(error) => panic!("{error}"),
    };
    let extras = view::Extras {
        exports: exports::exports(&curriculum, &plan, TokenDtype::U16, None),
        ..view::Extras::default()
    };
    let text = render::render(&view::view(&curriculum, &plan, TokenDtype::U16, extras));
    println!("{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    (curriculum, plan)
}

fn share(plan: &Plan, phase: usize, names: &[&str]) -> f64 {
    let phase = &plan.phases[phase];
    let windows: u64 = (plan.sources.iter().zip(&phase.source_windows))
        .filter(|(source, _)| names.contains(&source.name.as_str()))
        .map(|(_, windows)| windows)
        .sum();
    windows as f64 / phase.windows as f64
}

#[test]
fn arctic() {
    let (curriculum, plan) = planned("arctic");
    assert_eq!(plan.phases.iter().map(|phase| phase.windows).sum::<u64>(), 854_492_188);
    assert!((share(&plan, 0, &["web"]) - 0.75).abs() < 1e-6);
    assert!((share(&plan, 2, &["web"]) - 0.52).abs() < 1e-6);
    let code = |phase: usize| {
        let members = curriculum.sources.iter().filter(|source| source.group.as_deref() == Some("code"));
        share(&plan, phase, &members.map(|source| source.name.as_str()).collect::<Vec<_>>())
    };
    assert!((code(1) - 0.192).abs() < 1e-3 && code(2) > 0.26);
    assert!(curriculum.phases.iter().any(|phase| !phase.expect.is_empty()));
}

/// `cargo test --release -p syllabus --lib whole_of_arctic -- --ignored --nocapture`
#[test]
#[ignore = "walks 854 million windows"]
fn the_whole_of_arctic_is_walked() {
    let curriculum = load("arctic");
    let sizes = declared_sizes(&curriculum).unwrap();
    let start = std::time::Instant::now();
    let plan = plan(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
    println!("planned in {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 1);
    let walked = simulate::simulate(&plan, 2, &|_| ()).unwrap();
    println!("walked in {:?}", start.elapsed());
    let sources = i64::try_from(plan.sources.len()).unwrap();
    for (phase, walk) in plan.phases.iter().zip(&walked.phases) {
        let (borders, anywhere) = walk.largest();
        assert!(borders <= anywhere && anywhere <= fixture::fraction(2 * sources - 3, 2 * sources - 2));
        for (planned, walked) in phase.source_windows.iter().zip(&walk.source_windows) {
            assert!(planned.abs_diff(*walked) <= 1 && (!phase.exact || planned == walked));
        }
    }
    let settled = simulate::settled(&curriculum, &plan, &walked).unwrap();
    let extras = view::Extras { simulation: Some(&walked), ..view::Extras::default() };
    println!("{}", render::render(&view::view(&curriculum, &settled, TokenDtype::U16, extras)));
}

#[test]
fn smollm3() {
    let (_, plan) = planned("smollm3");
    let trained = plan.phases.iter().take(3).map(|phase| phase.tokens().to_f64().unwrap()).sum::<f64>();
    assert!((trained / 11.13e12 - 1.0).abs() < 0.01, "{trained}");
}

#[test]
fn olmo2_dolmino() {
    let (_, plan) = planned("olmo2-dolmino");
    assert!(plan.phases.iter().all(|phase| phase.source_windows.iter().sum::<u64>() == phase.windows));
}

#[test]
fn marin_8b() {
    let (_, plan) = planned("marin-8b");
    let trained = plan.phases.iter().map(|phase| phase.tokens().to_f64().unwrap()).sum::<f64>();
    assert!((trained / 12.75e12 - 1.0).abs() < 0.02, "{trained}");
}

/// Sizes as the real corpus was counted, a fifth less for what may be removed.
#[test]
fn realdata() {
    let curriculum = load("realdata");
    let sizes: Vec<SourceSize> = (curriculum.sources.iter())
        .map(|source| {
            let millions = match source.name.as_str() {
                "web" => 11,
                "code" => 13,
                "sql" => 8,
                "books" => 10,
                "stem" => 7,
                "dialog" => 4,
                "maths" => 5,
                "multilingual" => 17,
                other => panic!("what is `{other}`?"),
            };
            SourceSize::counted(millions * 800_000, 1000)
        })
        .collect();
    plan(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
}
