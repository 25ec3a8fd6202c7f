//! `tokenizer:`.

use super::scalars::{OneOrMany, Text};
use crate::curriculum::checked::Backend;

object! {
    /// The tokenizer, and which of its tokens frame a document.
    RawTokenizer, "a tokenizer, such as `{file: tokenizer.json, bos: none, eos: \"</s>\"}`" {
        /// Path of a Hugging Face `tokenizer.json`, from `--data` or else from the curriculum's folder.
        required file: Text,
        /// Token put before each document, or `none`. Must be said when the tokenizer's own template adds one.
        optional bos: Text,
        /// Token put after each document, for example `"</s>"`, or `none`.
        required eos: Text,
        /// Token that fills padding; the `eos` unless said.
        optional pad: Text,
        /// Special strings that become their control ids where they occur in documents; all others are text.
        optional special: OneOrMany,
        /// Which implementation encodes; `fast` unless said.
        optional backend: Backend,
    }
}

words! {
    Backend, "Backend", "which implementation encodes: `fast` stops on any difference to the reference, `auto` falls back to it with a warning, `reference` is Hugging Face tokenizers" {
        "fast" => Backend::Fast,
        "auto" => Backend::Auto,
        "reference" => Backend::Reference,
    }
}
