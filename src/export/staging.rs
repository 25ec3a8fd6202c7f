//! The folder in which an export grows until it is whole and gets its name.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Exported, ExportedFile, NOTE};
use crate::error::{Error, Result};
use crate::files::{self, File};

/// In a folder that is being written: this process, or one before it that was stopped, made it, so it may be removed.
const MARK: &str = ".syllabus-export";

/// An export that is being written.
pub(super) struct Staging {
    /// Where it grows.
    folder: PathBuf,
    /// Where it will be.
    out: PathBuf,
    /// Its files, and whether each is a hard link.
    files: BTreeMap<String, bool>,
}

/// Tokens to copy: a file, and which of its bytes.
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// The export in `out`, when there is a whole one.
pub(super) fn finished(out: &Path) -> Result<Option<Exported>> {
    let note = out.join(NOTE);
    let json = match fs_err::read(&note) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(Error::Failed(format!("--out {}: is a file; give a folder", out.display())));
        }
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| Error::Failed(format!("{}: is not an export's: {error}", note.display())))
}

/// Fails unless all files of an export have the sizes that it says.
pub(super) fn check_files(out: &Path, exported: &Exported) -> Result<()> {
    for ExportedFile { file, bytes } in &exported.files {
        let path = out.join(file);
        let found = fs_err::metadata(&path)?.len();
        if found != *bytes {
            return Err(Error::Failed(format!(
                "{}: {found} bytes, but {NOTE} says {bytes}: it was changed; remove {} and export again",
                path.display(),
                out.display()
            )));
        }
    }
    Ok(())
}

impl Staging {
    /// Begins an export beside `out`, which must not be there or be an empty folder.
    pub(super) fn begin(out: &Path) -> Result<Self> {
        // By its components: a slash at its end would make the other name lie in it.
        let out: PathBuf = std::path::absolute(out)?.components().collect();
        if out.exists() && fs_err::read_dir(&out)?.next().is_some() {
            return Err(Error::Failed(format!(
                "--out {}: there is something else already; give a folder that is not there yet",
                out.display()
            )));
        }
        let parent = out.parent().ok_or_else(|| Error::Failed(format!("--out {}: has no folder", out.display())))?;
        files::make_folder(parent)?;
        let folder = files::partial_name(&out);
        if folder.exists() {
            // An empty one is what is left of an export that was stopped before it could mark it.
            let ours = folder.join(MARK).exists() || folder.join(NOTE).exists();
            if !ours && fs_err::read_dir(&folder)?.next().is_some() {
                return Err(Error::Failed(format!("{}: is in the way; remove it", folder.display())));
            }
            files::remove_folder(&folder)?;
        }
        files::make_folder(&folder)?;
        File::create(&folder.join(MARK))?;
        Ok(Self { folder, out, files: BTreeMap::new() })
    }

    fn place(&mut self, name: &str, linked: bool) -> Result<PathBuf> {
        if self.files.insert(name.to_owned(), linked).is_some() {
            return Err(Error::Failed(format!("`{name}` is written twice (a defect of Syllabus)")));
        }
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        Ok(path)
    }

    /// A file of the dataset under another name: a hard link, or a copy where there can be none.
    pub(super) fn link(&mut self, source: &Path, name: &str) -> Result<()> {
        let path = self.place(name, true)?;
        // Another file system, one without links, or too many links: whatever the reason, a copy serves as well.
        if files::link(source, &path).is_err() {
            self.files.insert(name.to_owned(), false);
            let mut copy = File::create(&path)?;
            copy.fill_from(source, 0, fs_err::metadata(source)?.len())?;
            copy.sync()?;
        }
        Ok(())
    }

    /// A file of these bytes, then those of `pieces` in order. Without bytes of its own and with one whole file: a link to it.
    pub(super) fn join(&mut self, name: &str, head: &[u8], pieces: &[Piece]) -> Result<()> {
        if let (true, [piece]) = (head.is_empty(), pieces)
            && piece.start == 0
            && fs_err::metadata(&piece.path)?.len() == piece.bytes
        {
            return self.link(&piece.path, name);
        }
        let path = self.place(name, false)?;
        let mut out = File::create(&path)?;
        out.write_all(head)?;
        for piece in pieces {
            let copied = out.fill_from(&piece.path, piece.start, piece.bytes)?;
            if copied != piece.bytes {
                let (path, bytes) = (piece.path.display(), piece.bytes);
                return Err(Error::Verification(format!("{path}: {copied} bytes where {bytes} should be: it was cut")));
            }
        }
        Ok(out.sync()?)
    }

    /// A file that `f` writes.
    pub(super) fn write(&mut self, name: &str, f: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
        let path = self.place(name, false)?;
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        f(&mut out)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync()?;
        Ok(())
    }

    /// The files so far.
    pub(super) fn files(&self) -> Result<Vec<ExportedFile>> {
        let sized = |file: &String| {
            Ok(ExportedFile { file: file.clone(), bytes: fs_err::metadata(self.folder.join(file))?.len() })
        };
        self.files.keys().map(sized).collect()
    }

    /// Gives the export its name. Returns the bytes linked, and those written.
    pub(super) fn finish(self, exported: &Exported) -> Result<(u64, u64)> {
        let (mut linked, mut written) = (0, 0);
        let mut folders = std::collections::BTreeSet::new();
        for file in &exported.files {
            let sum = if self.files.get(&file.file) == Some(&true) { &mut linked } else { &mut written };
            *sum += file.bytes;
            folders.extend(self.folder.join(&file.file).ancestors().skip(1).map(Path::to_path_buf));
        }
        for folder in folders.iter().filter(|folder| folder.starts_with(&self.folder)) {
            files::sync_names(folder)?;
        }
        let mut json =
            serde_json::to_vec_pretty(exported).map_err(|error| Error::Failed(format!("{NOTE}: {error}")))?;
        json.push(b'\n');
        files::write_whole(&self.folder.join(NOTE), &json)?;
        files::remove(&self.folder.join(MARK))?;
        files::sync_names(&self.folder)?;
        // Takes the place of an empty folder, and of nothing else.
        files::rename(&self.folder, &self.out)?;
        files::sync_folder(&self.out)?;
        Ok((linked, written))
    }
}
