use super::fixture::{EOS, Plain, write};
use super::plain;
use crate::format::TokenDtype;
use crate::{BatchOptions, Buffers, Dataset, Error, FillOptions, Filled};

/// What `fill` must write for one row, position by position.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    inputs: Vec<i64>,
    labels: Vec<i64>,
    positions: Vec<i64>,
    segments: Vec<i32>,
    mask: Vec<u8>,
    sources: Vec<i32>,
    borders: Vec<i32>,
}

fn expected(windows: &[Plain], s: usize, options: &FillOptions) -> Expected {
    let mut out = Expected { borders: vec![0], ..Expected::default() };
    for window in windows {
        let text = window.tokens.len() - window.padding as usize;
        for p in 0..s {
            let inside = |f: &&crate::format::Fragment| f.start as usize <= p && p < (f.start + f.length) as usize;
            let fragment = window.fragments.iter().position(|f| inside(&f));
            let start = fragment.map_or(text, |f| window.fragments[f].start as usize);
            let next_starts = window.fragments.iter().any(|f| f.start as usize == p + 1);
            let trained = p + 1 < text && !(options.mask_document_starts && next_starts);
            out.inputs.push(window.tokens[p].into());
            let label = window.tokens.get(p + 1).copied().unwrap_or(EOS);
            out.labels.push(options.ignore_index.filter(|_| !trained).map_or(label.into(), i64::from));
            out.mask.push(trained.into());
            out.positions.push(i64::try_from(p - start).unwrap());
            out.segments.push(fragment.map_or(0, |f| i32::try_from(f).unwrap() + 1));
            let next_fragment = window
                .fragments
                .iter()
                .position(|f| f.start as usize <= p + 1 && p + 1 < (f.start + f.length) as usize);
            if p + 1 == s || next_fragment != fragment {
                out.borders.push(i32::try_from(out.inputs.len()).unwrap());
            }
        }
        out.sources.push(i32::try_from(window.source).unwrap());
    }
    out
}

#[test]
fn equals_brute_force() {
    for dtype in [TokenDtype::U16, TokenDtype::U32] {
        for (s, w) in [(8_u32, 9_u32), (8, 8), (1, 2), (1, 1), (5, 6)] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), dtype, &[("early", s, w, &[9, 14])], &[]);
            let dataset = Dataset::open(dir.path()).unwrap();
            for (mask_document_starts, ignore_index) in [(false, Some(-100)), (true, None), (true, Some(-1))] {
                let options = FillOptions { mask_document_starts, ignore_index };
                check(&dataset, usize::try_from(s).unwrap(), &options);
            }
        }
    }
}

fn check(dataset: &Dataset, s: usize, options: &FillOptions) {
    for batch in dataset.batches(BatchOptions::new(5)).unwrap() {
        let windows: Vec<_> = batch.windows().map(|window| plain(&window.unwrap())).collect();
        let n = windows.len() * s;
        let mut got = Expected {
            inputs: vec![0; n],
            labels: vec![0; n],
            positions: vec![0; n],
            segments: vec![0; n],
            mask: vec![9; n],
            sources: vec![0; windows.len()],
            borders: vec![77],
        };
        let mut buffers = Buffers {
            input_ids: Some(&mut got.inputs[..]),
            labels: Some(&mut got.labels),
            position_ids: Some(&mut got.positions),
            segment_ids: Some(&mut got.segments),
            loss_mask: Some(&mut got.mask),
            source_ids: Some(&mut got.sources),
            epochs: None,
            window_ids: None,
            cu_seqlens: Some(&mut got.borders),
        };
        let filled = batch.fill(&mut buffers, options).unwrap();
        let want = expected(&windows, s, options);
        assert_eq!(got, want);
        let longest = want.borders.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        let max_seqlen = usize::try_from(longest).unwrap();
        assert_eq!(filled, Filled { rows: windows.len(), sequence_length: s, max_seqlen });
        // Narrow ids are the same ids.
        let mut narrow = vec![0_i32; n + 3];
        narrow[n..].fill(5);
        batch.fill(&mut Buffers { input_ids: Some(&mut narrow), ..Buffers::default() }, options).unwrap();
        assert!(narrow[..n].iter().map(|&id| i64::from(id)).eq(want.inputs));
        assert_eq!(narrow[n..], [5; 3]);
    }
}

#[test]
fn small_buffers_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), TokenDtype::U16, &[("early", 4, 5, &[3])], &[]);
    let dataset = Dataset::open(dir.path()).unwrap();
    let batch = dataset.batches(BatchOptions::new(3)).unwrap().next().unwrap();
    let mut short = [0_i32; 11];
    let error = batch.fill(&mut Buffers { labels: Some(&mut short), ..Buffers::default() }, &FillOptions::default());
    assert!(matches!(error, Err(Error::OutOfRange(message)) if message.contains("labels")));
}

#[test]
fn ids_above_the_manifests_largest_are_never_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), TokenDtype::U16, &[("early", 4, 5, &[3])], &[]);
    let path = dir.path().join("early/00000.bin");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[2..4].fill(0xFF);
    fs_err::write(&path, bytes).unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    let batch = dataset.batches(BatchOptions::new(3)).unwrap().next().unwrap();
    let mut ids = [0_i32; 12];
    let error = batch.fill(&mut Buffers { input_ids: Some(&mut ids), ..Buffers::default() }, &FillOptions::default());
    let message = error.unwrap_err().to_string();
    assert!(message.contains("early/00000.bin") && message.contains("65535"), "{message}");
}
