//! Short ways to this stage's errors.

use crate::error::Error;

/// What the curriculum says cannot be meant, whatever the data.
pub(super) fn curriculum(message: String) -> Error {
    Error::Curriculum { rendered: format!("error: {message}\n"), summary: message }
}

/// Not feasible with these sizes or at this scale; `story` follows the summary when rendered.
pub(super) fn infeasible(summary: String, story: &str) -> Error {
    let rendered =
        if story.is_empty() { format!("error: {summary}\n") } else { format!("error: {summary}\n\n{story}") };
    Error::Infeasible { rendered, summary }
}

/// Anything else.
pub(super) fn failed(message: String) -> Error {
    Error::Failed(message)
}
