//! Source files to rows: Parquet, JSON Lines, Arrow IPC, plain text; plain or compressed.
