//! A tokenizer file: loaded by all backends, proved, and used.

use std::path::Path;

use syllabus::curriculum::checked::{Backend, Bos, TokenizerSpec};

const TEXTS: [&str; 4] =
    ["", "a b  ab\n\tba 12", "</s> <unk> ▁ü é \u{301} 漢字 🦀", "aaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbb"];

/// What the compile does with it.
pub fn tokenizer(bytes: &[u8], path: &Path) {
    fs_err::write(path, bytes).expect("written");
    let spec = TokenizerSpec {
        file: String::new(),
        bos: Bos::None,
        eos: None,
        pad: None,
        special: Vec::new(),
        backend: Backend::Auto,
    };
    let Ok(loaded) = syllabus::tokenize::load(path, &spec) else { return };
    let mut encoder = loaded.tokenizer.encoder();
    for text in TEXTS {
        let mut ids = Vec::new();
        if encoder.encode(text, &mut ids).is_ok() {
            let decoded = loaded.tokenizer.decode(&ids);
            if loaded.tokenizer.gives_back(text, &ids) {
                assert_eq!(decoded.ok().as_deref(), Some(text), "{ids:?}");
            }
        }
    }
}
