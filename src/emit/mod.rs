//! Windows to shards, and the manifest.
