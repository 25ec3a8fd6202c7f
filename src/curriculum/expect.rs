//! `expect` lines: what must hold of a phase.
//!
//! Grammar: `SUM OP VALUE [± VALUE]`, where `SUM` is names of sources or groups joined by `+`, or `epochs(SOURCE)`,
//! `OP` is one of `== < <= > >=`, and `VALUE` is a percentage (shares) or a number (epochs).

use num_rational::BigRational;

use super::checked::SourceId;

/// One parsed `expect` line.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The line as written.
    pub text: String,
    /// What is measured.
    pub subject: Subject,
    /// How it is compared.
    pub op: Op,
    /// With what: a share (0.192 for 19.2 %) or a number of epochs.
    pub value: BigRational,
    /// Allowed distance for `==`, in the unit of `value`.
    pub tolerance: Option<BigRational>,
}

/// What an `expect` line measures.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Summed share of these sources in the phase's windows (groups are already spelt out; each source once).
    Share(Vec<SourceId>),
    /// Stored tokens read of this source up to the phase's end, divided by its unique tokens.
    Epochs(SourceId),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}
