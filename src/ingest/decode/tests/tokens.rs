//! Documents that come as ids: the same in every form, and no damaged index that is read in silence.

use std::io::Write;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Int64Array, ListArray, RecordBatch};
use arrow::datatypes::Int32Type;
use syllabus_reader::format::{TokenDtype, idx, tokens::encode};

use super::*;
use crate::curriculum::checked::{Frame, IdFormat, TokenFiles, Tokenized};

fn documents(count: u32) -> Vec<Vec<u32>> {
    (0..count).map(|i| (0..(i * 7) % 23).map(|at| (i * 131 + at * 17) % 60_000).collect()).collect()
}

fn spec_of(format: IdFormat, batch_bytes: usize) -> Arc<ReadSpec> {
    let limits = Limits { batch_bytes, ..Limits::default() };
    let pieces = match &format {
        IdFormat::Column(name) => vec![TemplatePiece::Column(name.clone())],
        IdFormat::Files(..) => Vec::new(),
    };
    let mut spec = ReadSpec::new(&TextTemplate { pieces }, None, limits);
    spec.tokenize(Tokenized { format, frame: Frame::Check });
    Arc::new(spec)
}

/// The files of a form; the first holds the ids, the second says where documents end.
fn write(folder: &Path, format: &IdFormat, documents: &[Vec<u32>]) -> (std::path::PathBuf, Option<std::path::PathBuf>) {
    let mut bytes = Vec::new();
    let path = |name: &str| folder.join(name);
    let ends = documents.iter().scan(0, |end, ids| {
        *end += ids.len() as u64;
        Some(*end)
    });
    match format {
        IdFormat::Files(TokenFiles::Megatron, dtype) => {
            let dtype = dtype.unwrap_or(TokenDtype::U16);
            let lengths: Vec<u32> = documents.iter().map(|ids| u32::try_from(ids.len()).unwrap()).collect();
            encode(&documents.concat(), dtype, &mut bytes).unwrap();
            fs_err::write(path("a.idx"), idx::encode(dtype, &lengths).unwrap()).unwrap();
            fs_err::write(path("a.bin"), bytes).unwrap();
            (path("a.bin"), Some(path("a.idx")))
        }
        IdFormat::Files(TokenFiles::Datatrove, _) => {
            encode(&documents.concat(), TokenDtype::U32, &mut bytes).unwrap();
            fs_err::write(path("a.ds"), bytes).unwrap();
            fs_err::write(path("a.ds.index"), ends.flat_map(u64::to_le_bytes).collect::<Vec<u8>>()).unwrap();
            fs_err::write(path("a.ds.metadata"), "some/tokenizer|4\n17\n17").unwrap();
            (path("a.ds"), Some(path("a.ds.index")))
        }
        IdFormat::Files(TokenFiles::Olmo, _) => {
            encode(&documents.concat(), TokenDtype::U16, &mut bytes).unwrap();
            fs_err::write(path("a.npy"), bytes).unwrap();
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for (ids, end) in documents.iter().zip(ends) {
                writeln!(gz, "{},{end},id-{end},src.jsonl,4", end - ids.len() as u64).unwrap();
            }
            fs_err::write(path("a.csv.gz"), gz.finish().unwrap()).unwrap();
            (path("a.npy"), Some(path("a.csv.gz")))
        }
        IdFormat::Column(name) => {
            let rows = documents.iter().map(|ids| Some(ids.iter().map(|id| Some(i32::try_from(*id).unwrap()))));
            let list = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
            let numbers = Int64Array::from_iter_values(0..i64::try_from(documents.len()).unwrap());
            let columns: Vec<(&str, arrow::array::ArrayRef)> =
                vec![("number", Arc::new(numbers)), (name.as_str(), Arc::new(list))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            fs_err::write(path("a.parquet"), bytes).unwrap();
            (path("a.parquet"), None)
        }
    }
}

fn forms() -> Vec<IdFormat> {
    vec![
        IdFormat::Files(TokenFiles::Megatron, None),
        IdFormat::Files(TokenFiles::Megatron, Some(TokenDtype::U32)),
        IdFormat::Files(TokenFiles::Datatrove, None),
        IdFormat::Files(TokenFiles::Olmo, Some(TokenDtype::U16)),
        IdFormat::Column("input_ids".to_owned()),
    ]
}

fn expected(documents: &[Vec<u32>]) -> Vec<Outcome> {
    documents.iter().map(|ids| Outcome::Text(format!("{ids:?}"))).collect()
}

#[test]
fn every_form_gives_the_same_documents() {
    let documents = documents(57);
    for format in forms() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(folder.path(), &format, &documents);
        for batch_bytes in [1, 64, 1 << 20] {
            let spec = spec_of(format.clone(), batch_bytes);
            assert_eq!(outcomes(&path, &spec), expected(&documents), "{format:?}, {batch_bytes}");
        }
        let spec = spec_of(format.clone(), 100);
        for skip in [0, 1, 30, 57] {
            let mut all = Vec::new();
            let mut left = skip;
            for unit in units(&source_file(&path), &spec).unwrap() {
                let mut reader = unit.open(&spec).unwrap();
                let rows = unit.rows.unwrap_or(57).min(left);
                reader.skip_rows(rows).unwrap();
                left -= rows;
                while let Some(batch) = reader.next_batch().unwrap() {
                    visit(&batch, &mut all).unwrap();
                }
            }
            let found: Vec<Outcome> = all.into_iter().map(|(_, outcome)| outcome).collect();
            assert_eq!(found, expected(&documents)[usize::try_from(skip).unwrap()..], "{format:?}, skipping {skip}");
        }
    }
}

#[test]
fn sequences_of_one_document_are_joined_and_gaps_in_the_file_are_passed() {
    let folder = tempfile::tempdir().unwrap();
    let (bin, index) = (folder.path().join("a.bin"), folder.path().join("a.idx"));
    // Sequences 0 and 1 are document 0, sequence 2 document 1, document 2 has none; a header of 6 bytes, a gap of 4.
    let ids: Vec<u32> = vec![90, 91, 92, 1, 2, 3, 4, 93, 94, 5];
    let mut bytes = Vec::new();
    encode(&ids, TokenDtype::U16, &mut bytes).unwrap();
    fs_err::write(&bin, bytes).unwrap();
    let mut table = b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0\x08".to_vec();
    table.extend([3_u64, 4].iter().flat_map(|n| n.to_le_bytes()));
    table.extend([3_i32, 1, 1].iter().flat_map(|n| n.to_le_bytes()));
    table.extend([6_i64, 12, 18, 0, 2, 3, 3].iter().flat_map(|n| n.to_le_bytes()));
    fs_err::write(&index, table).unwrap();
    let spec = spec_of(IdFormat::Files(TokenFiles::Megatron, None), 1 << 20);
    assert_eq!(outcomes(&bin, &spec), expected(&[vec![1, 2, 3, 4], vec![5], vec![]]));
}

#[test]
fn a_cut_file_or_index_is_an_error() {
    let documents = documents(40);
    for format in forms() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = write(folder.path(), &format, &documents);
        let spec = spec_of(format.clone(), 1 << 10);
        for file in [Some(path.clone()), beside].into_iter().flatten() {
            let whole = fs_err::read(&file).unwrap();
            for cut in [1, 2, 8, whole.len() / 2, whole.len()] {
                fs_err::write(&file, &whole[..whole.len() - cut]).unwrap();
                let error = read(&path, &spec);
                assert!(error.is_err(), "{format:?}: {} without its last {cut} bytes was read", file.display());
            }
            fs_err::write(&file, whole).unwrap();
        }
        assert_eq!(outcomes(&path, &spec), expected(&documents));
    }
}

#[test]
fn no_altered_byte_makes_it_panic() {
    let documents = documents(12);
    for format in forms() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = write(folder.path(), &format, &documents);
        let spec = spec_of(format.clone(), 1 << 10);
        let file = beside.unwrap_or_else(|| path.clone());
        let whole = fs_err::read(&file).unwrap();
        for at in 0..whole.len() {
            for bit in [0x01, 0x80] {
                let mut altered = whole.clone();
                altered[at] ^= bit;
                fs_err::write(&file, &altered).unwrap();
                // Whatever it comes to, it comes back.
                let _any = read_quietly(&path, &spec);
            }
        }
    }
}

/// Reads to the end; what it comes to is not looked at.
fn read_quietly(path: &Path, spec: &Arc<ReadSpec>) -> Result<usize> {
    let mut all = Vec::new();
    for unit in units(&source_file(path), spec)? {
        let mut reader = unit.open(spec)?;
        while let Some(batch) = reader.next_batch()? {
            batch.visit(&mut |at, row| {
                all.push((at, matches!(row, Row::Ids(_))));
                Ok(())
            })?;
        }
    }
    Ok(all.len())
}

#[test]
fn what_is_no_id_is_a_bad_row() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![Some(vec![Some(1), Some(-2)]), None, Some(vec![Some(3), None]), Some(vec![Some(4)])];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![("ids", Arc::new(list))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = folder.path().join("a.arrow");
    let mut writer =
        arrow::ipc::writer::FileWriter::try_new(fs_err::File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let bad = |why: &str| Outcome::Bad(why.to_owned());
    let found = outcomes(&path, &spec_of(IdFormat::Column("ids".to_owned()), 1 << 10));
    let expected = [
        bad("-2 is no id"),
        bad("the column of ids is null here"),
        bad("one of its ids is null"),
        Outcome::Text("[4]".to_owned()),
    ];
    assert_eq!(found, expected);
    let found = outcomes(&path, &spec_of(IdFormat::Column("tokens".to_owned()), 1 << 10));
    assert!(found.iter().all(|row| *row == bad("there is no column `tokens`")), "{found:?}");
    let error = read(&path, &spec_of(IdFormat::Files(TokenFiles::Megatron, None), 1 << 10)).unwrap_err();
    assert!(error.to_string().contains("a.idx is not there"), "{error}");
    let text = folder.path().join("a.jsonl");
    fs_err::write(&text, "{\"ids\": [1]}\n").unwrap();
    let error = read(&text, &spec_of(IdFormat::Column("ids".to_owned()), 1 << 10)).unwrap_err();
    assert!(error.to_string().contains("neither Parquet nor Arrow"), "{error}");
}

#[test]
fn a_document_that_is_too_long_is_a_bad_row_in_every_form() {
    let documents = vec![vec![1; 10], vec![2; 300], vec![3; 5]];
    for format in forms() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(folder.path(), &format, &documents);
        let mut spec = Arc::into_inner(spec_of(format.clone(), 1 << 10)).unwrap();
        spec.limit_documents(1000);
        let found = outcomes(&path, &Arc::new(spec));
        assert_eq!((&found[0], &found[2]), (&expected(&documents)[0], &expected(&documents)[2]), "{format:?}");
        let why = "300 ids take 1200 bytes, and `max_document_bytes` is 1000";
        assert_eq!(found[1], Outcome::Bad(why.to_owned()), "{format:?}");
    }
}
