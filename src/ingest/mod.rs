//! Source files to judged, tokenized documents in segments.

pub mod condition;
pub mod decode;
pub mod template;
