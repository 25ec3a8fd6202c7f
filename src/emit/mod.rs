//! Windows to shards: which tokens each window holds was settled by the mix; here they are copied, hashed and written.

mod fill;
pub mod phase;
pub mod shard;
pub mod validation;
pub mod written;
