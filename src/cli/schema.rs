//! `syllabus schema`.

use super::args::{Schema, SchemaOf};
use crate::error::Result;

pub fn run(args: &Schema) -> Result<()> {
    match args.of {
        SchemaOf::Curriculum => super::print_json(&crate::curriculum::schema()),
        #[cfg(feature = "report")]
        SchemaOf::Report => super::print_json(&crate::report::model::schema()),
    }
}
