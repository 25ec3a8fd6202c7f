//! Large pages of Zstandard, inflated while they are read: what is stored is never held whole beside what it becomes.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::page_header::{DATA_PAGE, DICTIONARY_PAGE, Header};
use super::source::SourceBytes;

/// Bytes read at a time. Few in tests, so that their pages come in several pieces.
const PIECE: usize = if cfg!(test) { 100 } else { 128 << 10 };
/// Largest window: 8 MiB, that of the highest ordinary levels. A page that needs a larger one is not inflated here.
const WINDOW_LOG: u32 = 23;

/// Inflates pages of at least `least` bytes as stored.
pub struct Inflater {
    pub least: usize,
    /// Pages of up to so many bytes as stored are read at once: then nothing is inflated into a window and copied from there.
    pub at_once: usize,
}

impl Inflater {
    /// A dictionary page or data page of version 1, whose header, `header`, lies at `offset`. `None` when it is another kind of
    /// page, is small, or cannot be inflated to what its header says.
    pub fn page(&self, source: &SourceBytes, offset: u64, header: &Header) -> Option<Page> {
        let stored = usize::try_from(header.stored).ok().filter(|stored| *stored >= self.least)?;
        if !matches!(header.kind, DATA_PAGE | DICTIONARY_PAGE) {
            return None;
        }
        let num_values = u32::try_from(header.values).ok()?;
        let inflated = usize::try_from(header.inflated).ok()?;
        let [values, definitions, repetitions] = header.encodings.map(encoding);
        let encoding = values?;
        let piece = if stored <= self.at_once { stored } else { PIECE };
        let inflate = || Some(Bytes::from(inflate(source, offset + header.header_bytes, (stored, piece), inflated)?));
        match header.kind {
            DATA_PAGE => {
                let (def_level_encoding, rep_level_encoding) = (definitions?, repetitions?);
                let buf = inflate()?;
                Some(Page::DataPage {
                    buf,
                    num_values,
                    encoding,
                    def_level_encoding,
                    rep_level_encoding,
                    statistics: None,
                })
            }
            // Whether its values are sorted is asked by nobody.
            DICTIONARY_PAGE => Some(Page::DictionaryPage { buf: inflate()?, num_values, encoding, is_sorted: false }),
            _ => None,
        }
    }
}

/// Inflates so many stored bytes, of which so many are read at a time.
fn inflate(source: &SourceBytes, mut offset: u64, (stored, most): (usize, usize), inflated: usize) -> Option<Vec<u8>> {
    // Made anew for each page: it holds a window, which should not outlive the room that a large page has.
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
    let mut page = Vec::new();
    page.try_reserve_exact(inflated).ok()?;
    let mut piece = vec![0; most.min(stored)];
    let (mut left, mut ended) = (stored, false);
    while left > 0 {
        let length = left.min(most);
        let piece = piece.get_mut(..length)?;
        source.fill_at(offset, piece).ok()?;
        offset += u64::try_from(length).ok()?;
        left -= length;
        let mut input = InBuffer::around(piece);
        while input.pos() < length {
            let (before, taken) = (page.len(), input.pos());
            let mut output = OutBuffer::around_pos(&mut page, before);
            ended = context.decompress_stream(&mut output, &mut input).ok()? == 0;
            if page.len() == before && input.pos() == taken {
                // More comes out than there is room for.
                return None;
            }
        }
    }
    (ended && page.len() == inflated).then_some(page)
}

/// The encoding of a number, by the format's specification.
fn encoding(number: i64) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        // What some writers say of levels that they do not write.
        #[expect(deprecated, reason = "read, not written")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curriculum::resolved::SourceFile;

    /// A page in a file: what it is, as stored, and its header.
    fn stored(folder: &std::path::Path, text: &[u8], frames: &[&[u8]]) -> (SourceBytes, Header) {
        let page: Vec<u8> = frames.iter().flat_map(|part| zstd::encode_all(*part, 1).unwrap()).collect();
        let path = folder.join("page");
        fs_err::write(&path, [b"header".as_slice(), &page].concat()).unwrap();
        let source = SourceFile { path, bytes: 6 + page.len() as u64 };
        let header = Header {
            kind: DATA_PAGE,
            header_bytes: 6,
            inflated: i64::try_from(text.len()).unwrap(),
            stored: i64::try_from(page.len()).unwrap(),
            values: 7,
            encodings: [0, 3, 3],
        };
        (SourceBytes::open(&source, None).unwrap(), header)
    }

    #[test]
    fn a_large_page_is_inflated_and_others_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = 1_u64;
        // Letters of a kind that do not compress away.
        let text: Vec<u8> = (0..3 << 20)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                b"etaoin shrdlu"[(state >> 33) as usize % 13]
            })
            .collect();
        for (cut, at_once) in [(0, 0), (text.len() / 3, 0), (0, usize::MAX), (text.len() / 3, usize::MAX)] {
            let inflater = Inflater { least: 64, at_once };
            let (one, other) = text.split_at(cut);
            let frames: Vec<&[u8]> = if cut == 0 { vec![other] } else { vec![one, other] };
            let (source, header) = stored(folder.path(), &text, &frames);
            let page = inflater.page(&source, 0, &header).expect("inflated");
            let Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } = page else { panic!() };
            assert!(buf == text && num_values == 7);
            assert_eq!((encoding, def_level_encoding), (Encoding::PLAIN, Encoding::RLE));
            // What is not as the header says, or of another kind, is left to others.
            for other in [
                Header { inflated: header.inflated - 1, ..header },
                Header { inflated: header.inflated + 1, ..header },
                Header { stored: header.stored - 1, ..header },
                Header { stored: header.stored + 1, ..header },
                Header { kind: 3, ..header },
                Header { encodings: [77, 3, 3], ..header },
                Header { header_bytes: 7, ..header },
            ] {
                assert!(inflater.page(&source, 0, &other).is_none(), "{other:?}");
            }
        }
        let inflater = Inflater { least: 64, at_once: 0 };
        let (source, header) = stored(folder.path(), &text, &[&text]);
        let dictionary = Header { kind: DICTIONARY_PAGE, encodings: [2, 0, 0], ..header };
        let page = inflater.page(&source, 0, &dictionary).expect("inflated");
        assert!(matches!(page, Page::DictionaryPage { buf, num_values: 7, .. } if buf == text));
        let (source, header) = stored(folder.path(), &text[..20], &[&text[..20]]);
        assert!(inflater.page(&source, 0, &header).is_none(), "a small page");
    }
}
