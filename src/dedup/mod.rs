//! Which documents stay.
