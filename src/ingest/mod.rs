//! Source files to judged, tokenized documents in segments.

pub mod contaminate;
pub mod decode;
