//! The table in which all documents and tokens balance.
