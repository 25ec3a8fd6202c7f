//! `tokenized:`: which form, and which other keys it leaves without a meaning.

use super::Check;
use crate::curriculum::checked::{Frame, IdFormat, TokenFiles, Tokenized};
use crate::curriculum::diagnostics::{Diagnostic, Span};
use crate::curriculum::raw::{Item, RawSource, RawTokenized};

const FORMS: &str =
    "write `megatron`, `datatrove` or `olmo`, or `{column: input_ids}` for lists of ids in Parquet or Arrow files";

/// Checks a source's `tokenized`; `None` for a source of texts.
pub(super) fn check(raw: &RawSource, check: &mut Check<'_>) -> Option<Tokenized> {
    let given = raw.tokenized.given()?;
    let tokenized = read(given, check)?;
    let mut meaningless = |at: Option<&Span>, key: &str, hint: &str| {
        if let Some(at) = at {
            let message = format!("`{key}` is about texts, and this source holds ids (`tokenized`)");
            check.push(Diagnostic::error(at.clone(), message).hint(hint).also(given.at.clone(), "here"));
        }
    };
    let tell = "the length in tokens is all that is known of such documents: filter before they are tokenized";
    meaningless(
        raw.text.given().map(|item| &item.at),
        "text",
        "the column of ids is named in `tokenized: {column: …}`",
    );
    meaningless(raw.min_bytes.given().map(|item| &item.at), "min_bytes", tell);
    meaningless(raw.max_bytes.given().map(|item| &item.at), "max_bytes", tell);
    meaningless(raw.min_chars.given().map(|item| &item.at), "min_chars", tell);
    meaningless(raw.max_chars.given().map(|item| &item.at), "max_chars", tell);
    if let (Some(condition), IdFormat::Files(..)) = (raw.r#where.given(), &tokenized.format) {
        check.push(
            Diagnostic::error(condition.at.clone(), "`where` needs columns, and these files hold nothing but ids")
                .hint("a column of ids in Parquet or Arrow files may have others beside it")
                .also(given.at.clone(), "here"),
        );
    }
    Some(tokenized)
}

fn read(given: &Item<RawTokenized>, check: &mut Check<'_>) -> Option<Tokenized> {
    let options = match &given.value {
        RawTokenized::Files(files) => {
            let format = IdFormat::Files(*files, None);
            if *files == TokenFiles::Olmo {
                no_dtype(&given.at, check);
            }
            return Some(Tokenized { format, frame: Frame::Check });
        }
        RawTokenized::Options(options) => options,
    };
    let frame = options.frame.value().copied().unwrap_or_default();
    let dtype = options.dtype.value().map(|dtype| dtype.0);
    let format = match (options.format.given(), options.column.given()) {
        (Some(format), None) => {
            if format.value == TokenFiles::Olmo && options.dtype.is_absent() {
                no_dtype(&format.at, check);
            }
            IdFormat::Files(format.value, dtype)
        }
        (None, Some(column)) => {
            if let Some(dtype) = options.dtype.given() {
                check.push(Diagnostic::error(dtype.at.clone(), "a column says its own type").hint("remove the key"));
            }
            IdFormat::Column(column.value.0.clone())
        }
        (Some(_), Some(column)) => {
            check.push(
                Diagnostic::error(column.at.clone(), "ids are in files of a `format` or in a `column`, not both")
                    .hint(FORMS),
            );
            return None;
        }
        (None, None) => {
            if !options.format.is_broken() && !options.column.is_broken() {
                check.push(Diagnostic::error(given.at.clone(), "where the ids are is not said").hint(FORMS));
            }
            return None;
        }
    };
    Some(Tokenized { format, frame })
}

fn no_dtype(at: &Span, check: &mut Check<'_>) {
    check.push(
        Diagnostic::error(at.clone(), "these files do not say how wide an id is")
            .hint("write `{format: olmo, dtype: u16}` or `u32`, as the run's configuration has it"),
    );
}
