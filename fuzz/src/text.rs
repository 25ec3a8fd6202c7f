//! What a person writes: curricula and the conditions in them.

use std::path::Path;

use num_rational::BigRational;
use num_traits::One;
use syllabus::curriculum::filter::Filter;
use syllabus::plan;

/// A curriculum, checked, and planned on the sizes that it declares.
pub fn curriculum(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(curriculum) = syllabus::curriculum::parse(text, "fuzz.yaml", false) else { return };
    let Ok(sizes) = plan::size::declared_sizes(&curriculum) else { return };
    let _refused = plan::plan(&curriculum, &sizes, &BigRational::one(), 2);
}

/// The condition of a `where`.
pub fn condition(bytes: &[u8], _: &Path) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _refused = Filter::parse(text);
    }
}
