//! Files of committed facts, one a line: what they do not say did not happen.
//!
//! Each line is the XXH3-64 of its JSON in hex, a space, the JSON, a newline. A last line cut by a crash is dropped; a bad
//! line before the last is corruption.

use std::io::{BufRead, BufReader};
use std::path::Path;

use fs_err::File;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// A record as it is written.
pub(crate) fn line(record: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_string(record).map_err(|e| Error::Failed(format!("a record: {e}")))?;
    Ok(format!("{:016x} {json}\n", xxh3_64(json.as_bytes())).into_bytes())
}

/// Hands over each record with its line; what follows the last whole line is left out.
pub(crate) fn read<R: DeserializeOwned>(path: &Path, each: &mut dyn FnMut(R, &[u8]) -> Result<()>) -> Result<()> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let Some(record) = parse(&line) else {
            if file.fill_buf()?.is_empty() {
                return Ok(());
            }
            return Err(Error::Failed(format!(
                "{}: line {number} is damaged; remove the work folder (`syllabus clean`) and compile again",
                path.display()
            )));
        };
        each(record, &line)?;
    }
}

fn parse<R: DeserializeOwned>(line: &[u8]) -> Option<R> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (checksum, json) = line.split_once(' ')?;
    if checksum.len() != 16 || u64::from_str_radix(checksum, 16).ok()? != xxh3_64(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}
