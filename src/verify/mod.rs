//! Proof that a dataset is what it says.
