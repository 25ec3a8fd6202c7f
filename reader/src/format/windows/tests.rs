use proptest::prelude::*;

use super::*;

type Plain = (u32, u32, Vec<Fragment>);

fn sources() -> Vec<String> {
    ["web", "code", "books"].map(str::to_owned).to_vec()
}

fn fragment(seed: u32) -> Fragment {
    let key = u128::from(seed).wrapping_mul(0x9234_5678_9ABC_DEF0_1122_3344_5566_7788);
    Fragment { start: seed, length: seed + 1, document: DocumentKey::from(key), offset: seed * 3, epoch: seed % 4 }
}

fn write(rows: &[Plain]) -> (Vec<u8>, Digest) {
    let mut writer = WindowsWriter::new(Vec::new(), &sources()).unwrap();
    for (source, padding, fragments) in rows {
        writer.push(*source, *padding, fragments).unwrap();
    }
    writer.finish().unwrap()
}

fn read(reader: &WindowsReader<Vec<u8>>) -> Vec<Plain> {
    let row = |i| {
        let row = reader.row(i).unwrap();
        (row.source, row.padding, row.fragments.collect())
    };
    (0..reader.rows()).map(row).collect()
}

fn open(bytes: Vec<u8>) -> Result<WindowsReader<Vec<u8>>> {
    WindowsReader::new(PathBuf::from("a/00000.arrow"), bytes)
}

#[test]
fn many_batches_round_trip() {
    let rows: Vec<Plain> =
        (0..9_000_u32).map(|i| (i % 3, i % 7, (0..i % 4).map(|j| fragment(i + j)).collect())).collect();
    let (bytes, digest) = write(&rows);
    let reader = open(bytes).unwrap();
    assert_eq!(reader.sources(), sources());
    assert_eq!(read(&reader), rows);
    assert_eq!(reader.digest().unwrap(), digest);
    assert!(matches!(reader.row(9_000), Err(Error::OutOfRange(_))));
}

#[test]
fn by_calls_the_rows_are_the_same_in_any_order_and_a_cut_is_an_error() {
    let rows: Vec<Plain> =
        (0..9_000_u32).map(|i| (i % 3, i % 7, (0..i % 4).map(|j| fragment(i + j)).collect())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000.arrow");
    let (bytes, _) = write(&rows);
    fs_err::write(&path, &bytes).unwrap();
    let mut file = WindowsFile::open(&path).unwrap();
    assert_eq!((file.rows(), file.sources(), file.path()), (9_000, sources().as_slice(), path.as_path()));
    for i in (0..9_000).chain([0, 8_999, 4_095, 4_096]) {
        let row = file.row(i).unwrap();
        let found = (row.source, row.padding, row.fragments.collect());
        assert_eq!(found, rows[usize::try_from(i).unwrap()]);
    }
    assert!(matches!(file.row(9_000), Err(Error::OutOfRange(_))));
    // Cut while it is open: the row batch in memory stays, the next is an error that names the file.
    file.row(4_096).unwrap();
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 / 2).unwrap();
    assert!(file.row(4_096).is_ok());
    let error = file.row(8_999).unwrap_err().to_string();
    assert!(error.contains("00000.arrow") && error.contains("it was cut"), "{error}");
}

#[test]
fn a_file_without_rows() {
    let (bytes, digest) = write(&[]);
    let reader = open(bytes).unwrap();
    assert_eq!(reader.rows(), 0);
    assert_eq!(reader.digest().unwrap(), digest);
}

#[test]
fn unknown_sources_are_refused() {
    let mut writer = WindowsWriter::new(Vec::new(), &sources()).unwrap();
    assert!(writer.push(3, 0, &[]).is_err());
}

/// The digest is pinned: another Arrow version, or another batch size, must not change it.
#[test]
fn golden_digest() {
    let rows = [(0, 0, vec![fragment(1), fragment(2)]), (2, 5, vec![])];
    let mut fields = Vec::new();
    for (source, padding, fragments) in &rows {
        let name = ["web", "code", "books"][*source];
        fields.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend(name.as_bytes());
        fields.extend(u32::to_le_bytes(*padding));
        fields.extend(u32::try_from(fragments.len()).unwrap().to_le_bytes());
        for Fragment { start, length, document, offset, epoch } in fragments {
            fields.extend(start.to_le_bytes());
            fields.extend(length.to_le_bytes());
            fields.extend(document.0);
            fields.extend(offset.to_le_bytes());
            fields.extend(epoch.to_le_bytes());
        }
    }
    let rows = rows.map(|(source, padding, fragments)| (u32::try_from(source).unwrap(), padding, fragments));
    let (_, digest) = write(&rows);
    assert_eq!(digest, *blake3::hash(&fields).as_bytes());
    assert_eq!(
        crate::format::digest::to_hex(&digest),
        "0cc48c8ef9bf78f001653da7aadd3d9edfcdca3b2595413c6e8b9bcdae260023"
    );
}

/// Any other Arrow reader must see the same rows.
#[test]
fn the_arrow_crate_reads_it() {
    let rows = [(1, 2, vec![fragment(7)]), (0, 0, vec![fragment(8), fragment(9)])];
    let (bytes, _) = write(&rows);
    let batches: Vec<_> = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(*batches[0].schema(), schema());
    let padding = batches[0].column(1).as_any().downcast_ref::<UInt32Array>().unwrap();
    assert_eq!(padding.values().as_ref(), [2, 0]);
    let fragments = batches[0].column(2).as_any().downcast_ref::<ListArray>().unwrap();
    assert_eq!(fragments.value_offsets(), [0, 1, 3]);
}

/// A changed byte is an error, or changes the rows' digest, or touches bytes that mean nothing: the rows stay as they were.
#[test]
fn every_flip_is_noticed_or_harmless() {
    let rows = [(0, 0, vec![fragment(1), fragment(2)]), (2, 5, vec![]), (1, 1, vec![fragment(3)])];
    let (bytes, digest) = write(&rows);
    let (mut errors, mut caught, mut harmless) = (0, 0, 0);
    for i in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            let Ok(reader) = open(bytes) else {
                errors += 1;
                continue;
            };
            match reader.digest() {
                Err(_) => errors += 1,
                Ok(other) if other != digest => caught += 1,
                Ok(_) => {
                    assert_eq!(read(&reader), rows, "byte {i} flipped by {flip:#x}");
                    harmless += 1;
                }
            }
        }
    }
    assert!(errors > 0 && caught > 0 && harmless > 0, "{errors} errors, {caught} caught, {harmless} harmless");
}

#[test]
fn every_cut_is_an_error() {
    let (bytes, _) = write(&[(0, 0, vec![fragment(1)])]);
    for cut in 0..bytes.len() {
        assert!(open(bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_trips(rows in prop::collection::vec((0..3_u32, any::<u32>(), prop::collection::vec(0..1_000_u32, 0..5)), 0..20)) {
        let rows: Vec<Plain> = rows
            .into_iter()
            .map(|(source, padding, seeds)| (source, padding, seeds.into_iter().map(fragment).collect()))
            .collect();
        let (bytes, digest) = write(&rows);
        let reader = open(bytes).unwrap();
        prop_assert_eq!(read(&reader), rows);
        prop_assert_eq!(reader.digest().unwrap(), digest);
    }
}
