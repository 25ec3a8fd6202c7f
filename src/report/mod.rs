//! What was read, for people.
