//! The JSON Schema of the curriculum, for editors: generated from the raw types.

use schemars::generate::SchemaSettings;

use super::raw::RawCurriculum;

/// The JSON Schema (draft 7, which editors' YAML extensions know best).
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<RawCurriculum>();
    schema.insert("title".to_owned(), "Syllabus curriculum".into());
    schema.to_value()
}

/// The schema's file in `schemas/`: the same as text, with a line break at its end.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
