//! `syllabus plan`.

use super::args::Plan;
use super::{colour, values};
use crate::curriculum;
use crate::error::Result;
use crate::plan::render;
use crate::preview::{Request, preview};

/// Shows the plan first, feasible or not, and then refuses what is not.
pub fn run(args: &Plan) -> Result<()> {
    let loaded = curriculum::load(&args.file, colour())?;
    let request = Request {
        data: args.data.as_deref(),
        scale: args.scale.clone(),
        simulate: args.simulate,
        threads: args.threads.unwrap_or_else(values::all_cores),
    };
    let found = preview(&loaded, &request)?;
    if let Some(note) = &found.note {
        super::say(note);
    }
    #[cfg(feature = "report")]
    if let Some(file) = &args.html {
        let report = crate::report::of_plan(&found.view, &loaded.text);
        crate::files::write_whole(file, crate::report::page(&report)?.as_bytes())?;
    }
    if args.json {
        super::print_json(&found.view)?;
    } else {
        super::print(&render::render(&found.view))?;
    }
    found.gate(&loaded.curriculum)
}

/// A curriculum's plan in the report's shape, without the gates: what falls short is in it.
#[cfg(feature = "report")]
pub fn report_of(file: &std::path::Path, data: Option<&std::path::Path>) -> Result<crate::report::model::MixReport> {
    use num_traits::One;
    let loaded = curriculum::load(file, colour())?;
    let scale = num_rational::BigRational::one();
    let request = Request { data, scale, simulate: false, threads: values::all_cores() };
    let view = crate::preview::plain(&loaded, &request)?;
    Ok(crate::report::of_plan(&view, &loaded.text))
}
