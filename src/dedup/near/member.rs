//! A membership: a document in a bucket, as a record whose bytes sort by ≺, then document, then bucket.
//!
//! ```text
//!  0  1  0 exempt, 1 not        29  8  document           42  8  bucket
//!  1  4  priority               37  4  scope              50  4  members of the bucket that come later under ≺
//!  5  8  bytes, inverted        41  1  1 held out
//! 13 16  key
//! ```
//!
//! All numbers are big-endian, so that they sort as bytes.

use super::{NearDocument, NearDocuments};

/// Bytes of a record.
pub(super) const RECORD: usize = 54;

/// `later` of a bucket too large to be ordered in memory.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// A document as the selection sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) document: u64,
    pub(super) scope: u32,
    pub(super) priority: u32,
    pub(super) bytes: u64,
    pub(super) held_out: bool,
    /// Always stays (held out ones too).
    pub(super) exempt: bool,
}

impl Member {
    /// Whether two documents may be compared.
    pub(super) fn comparable(self, other: Self, documents: &dyn NearDocuments) -> bool {
        let inside = || self.scope == other.scope && documents.compared(self.priority, other.priority);
        self.held_out || other.held_out || inside()
    }
}

/// What sorts documents by ≺; ends with the document's number.
pub(super) fn rank(number: u64, document: &NearDocument) -> [u8; 37] {
    let mut rank = [0; 37];
    rank[0] = u8::from(!(document.exempt || document.held_out));
    rank[1..5].copy_from_slice(&document.priority.to_be_bytes());
    rank[5..13].copy_from_slice(&(!document.bytes).to_be_bytes());
    rank[13..29].copy_from_slice(&document.key.to_be_bytes());
    rank[29..37].copy_from_slice(&number.to_be_bytes());
    rank
}

/// A membership's record.
pub(super) fn record(number: u64, document: &NearDocument, bucket: u64, later: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..37].copy_from_slice(&rank(number, document));
    record[37..41].copy_from_slice(&document.scope.to_be_bytes());
    record[41] = u8::from(document.held_out);
    record[42..50].copy_from_slice(&bucket.to_be_bytes());
    record[50..54].copy_from_slice(&later.to_be_bytes());
    record
}

/// A record taken apart: the document, its bucket, and how many come later in it.
pub(super) fn parse(record: &[u8; RECORD]) -> (Member, u64, u32) {
    let member = Member {
        document: u64::from_be_bytes(bytes(record, 29)),
        scope: u32::from_be_bytes(bytes(record, 37)),
        priority: u32::from_be_bytes(bytes(record, 1)),
        bytes: !u64::from_be_bytes(bytes(record, 5)),
        held_out: record[41] == 1,
        exempt: record[0] == 0,
    };
    (member, u64::from_be_bytes(bytes(record, 42)), u32::from_be_bytes(bytes(record, 50)))
}

/// The `N` bytes at `at`; zeros where the record ends before.
pub(super) fn bytes<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    record.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: NearDocument =
        NearDocument { scope: 3, held_out: false, exempt: false, priority: 1, bytes: 100, key: 7 };

    #[test]
    fn parses_what_was_written() {
        let record = record(9, &NearDocument { held_out: true, ..DOCUMENT }, 0x1122_3344_5566_7788, 5);
        let member = Member { document: 9, scope: 3, priority: 1, bytes: 100, held_out: true, exempt: true };
        assert_eq!(parse(&record), (member, 0x1122_3344_5566_7788, 5));
    }

    #[test]
    fn order_is_exempt_priority_bytes_key() {
        let order = [
            NearDocument { exempt: true, priority: 9, ..DOCUMENT },
            NearDocument { priority: 0, bytes: 1, ..DOCUMENT },
            NearDocument { bytes: 200, key: 8, ..DOCUMENT },
            DOCUMENT,
            NearDocument { key: 1 << 100, ..DOCUMENT },
        ];
        assert!(order.windows(2).all(|pair| rank(1, &pair[0]) < rank(0, &pair[1])));
    }
}
