//! What was proved of the tokenizer, kept in the work folder: going on, or mixing anew, neither loads the reference again
//! nor reads samples of the sources.

use std::path::Path;

use serde::{Deserialize, Serialize};
use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::digest::{from_hex, to_hex};
use syllabus_reader::format::manifest::TokenizerContract;

use crate::curriculum::Resolved;
use crate::error::Result;
use crate::files;
use crate::tokenize::file::TokenizerFile;
use crate::tokenize::{Contract, bytelevel, fast, reference, sentencepiece};

/// A proof, and what it is a proof of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Proof {
    key: String,
    contract: TokenizerContract,
    /// What the user should know of the tokenizer.
    pub warnings: Vec<String>,
}

impl Proof {
    /// A proof that the judge has given.
    pub fn new(key: &str, contract: &Contract, warnings: &[String]) -> Self {
        let contract = TokenizerContract {
            name: contract.name.clone(),
            digest: to_hex(&contract.digest),
            vocab_size: contract.vocab_size,
            bos_id: contract.bos_id,
            eos_id: contract.eos_id,
            pad_id: contract.pad_id,
            backend: contract.backend.clone(),
        };
        Self { key: key.to_owned(), contract, warnings: warnings.to_vec() }
    }

    /// The proof in a work folder, if there is one and it is of `key`. One that cannot be read is none: it is given anew.
    pub fn read(work: &Path, key: &str) -> Option<(Self, Contract)> {
        let text = fs_err::read_to_string(path(work)).ok()?;
        let proof: Self = serde_json::from_str(&text).ok()?;
        if proof.key != key {
            return None;
        }
        let TokenizerContract { name, digest, vocab_size, bos_id, eos_id, pad_id, backend } = proof.contract.clone();
        let digest = from_hex(&digest)?;
        let dtype = TokenDtype::for_vocabulary(vocab_size);
        Some((proof, Contract { name, digest, vocab_size, dtype, bos_id, eos_id, pad_id, backend }))
    }

    /// Whether a work folder has one, of whatever key.
    pub fn exists(work: &Path) -> bool {
        path(work).exists()
    }

    /// Keeps it.
    pub fn write(&self, work: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| crate::Error::Failed(error.to_string()))?;
        files::write_whole(&path(work), &text)
    }
}

fn path(work: &Path) -> std::path::PathBuf {
    work.join("tokenizer-proof")
}

/// What a proof depends on: the tokenizer, what the curriculum says of it, the backends, and the sources that samples are of.
pub fn key(resolved: &Resolved, file: &TokenizerFile) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let mut field = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    field(&to_hex(&file.digest()));
    field(&file.name());
    let spec = &resolved.curriculum.tokenizer;
    field(&format!("{:?} {:?} {:?} {:?} {:?}", spec.bos, spec.eos, spec.pad, spec.special, spec.backend));
    for backend in [reference::BACKEND, fast::BACKEND, sentencepiece::BACKEND, bytelevel::BACKEND] {
        field(backend);
    }
    field(&format!("{:?}", super::identity::sources(resolved)?));
    Ok(hash.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_key_alone_and_a_damaged_one_is_none() {
        let work = tempfile::tempdir().unwrap();
        let contract = Contract {
            name: "phi".to_owned(),
            digest: [7; 32],
            vocab_size: 70_000,
            dtype: TokenDtype::U32,
            bos_id: None,
            eos_id: Some(2),
            pad_id: 2,
            backend: "fastokens 1".to_owned(),
        };
        assert!(Proof::read(work.path(), "key").is_none());
        Proof::new("key", &contract, &["a warning".to_owned()]).write(work.path()).unwrap();
        let (proof, read) = Proof::read(work.path(), "key").unwrap();
        assert_eq!((read, proof.warnings), (contract, vec!["a warning".to_owned()]));
        assert!(Proof::read(work.path(), "another").is_none());
        let text = fs_err::read_to_string(path(work.path())).unwrap();
        fs_err::write(path(work.path()), &text[..text.len() / 2]).unwrap();
        assert!(Proof::read(work.path(), "key").is_none());
    }
}
