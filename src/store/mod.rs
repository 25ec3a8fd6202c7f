//! The store: committed segments of tokenized documents, and the journal that says which count.
