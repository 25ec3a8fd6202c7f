//! Texts on which the chosen backend must agree with the reference before it may encode a corpus.

use super::Encoder;
use super::file::AddedToken;
use super::reference::Reference;
use crate::error::Result;

/// A text on which two backends differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the text the first differing token begins, in bytes.
    pub at: usize,
    /// Which token that is.
    pub token: usize,
    /// The backend's id there; `None` past its end.
    pub ours: Option<u32>,
    /// The reference's id there; `None` past its end.
    pub reference: Option<u32>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = |id: Option<u32>| id.map_or("no id".to_owned(), |id| format!("id {id}"));
        write!(
            formatter,
            "token {} at byte {}: {} against the reference's {}",
            self.token,
            self.at,
            id(self.ours),
            id(self.reference)
        )
    }
}

/// Compares one text, of which the reference's ids are `wanted`.
///
/// # Errors
/// When a backend cannot encode.
pub fn compare(
    ours: &mut dyn Encoder,
    reference: &Reference,
    wanted: &[u32],
    text: &str,
) -> Result<Option<Difference>> {
    let (mut part, mut found) = (Vec::new(), Vec::new());
    // As the ingest takes them.
    ours.encode_in_parts(text, &mut part, &mut |ids| {
        found.append(ids);
        Ok(())
    })?;
    if found == wanted {
        return Ok(None);
    }
    let token = found.iter().zip(wanted).take_while(|(ours, theirs)| ours == theirs).count();
    let at = reference.offsets(text)?.get(token).copied().unwrap_or(text.len());
    Ok(Some(Difference { at, token, ours: found.get(token).copied(), reference: wanted.get(token).copied() }))
}

/// Compares one text, asking both.
#[cfg(test)]
pub fn compare_both(ours: &mut dyn Encoder, reference: &Reference, text: &str) -> Result<Option<Difference>> {
    let mut wanted = Vec::new();
    super::Tokenizer::encoder(reference).encode(text, &mut wanted)?;
    compare(ours, reference, &wanted, text)
}

/// A text cut to at most `bytes`, at a character's border.
#[must_use]
pub fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The built-in probe texts, with the file's own added tokens worked in.
#[must_use]
pub fn texts(added: &[AddedToken]) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "  ",
        "a",
        " a",
        "  a  ",
        "\n",
        "\r\n\r\n",
        "\t\tx = [1, 22, 333, 4444, 55555];\r\n",
        "The quick brown fox jumps over the lazy dog. It's 'quoted', isn't it? We'll see; they'd've gone.",
        "I'LL SHOUT THAT IT'S HERE'S AND THERE'RE",
        "for (int i = 0; i < n; ++i) {\n    if (a[i] != b[i]) {\n        return -1;\n    }\n}\n",
        "SELECT  a.id,\n        b.\"name\"   FROM t1 a\tJOIN t2 b ON a.id=b.id -- comment\nWHERE x >= 3.14e-10;",
        "$\\int_{0}^{\\infty} e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$ and \u{2200}x\u{2208}\u{211D}: x\u{00B2}\u{2265}0",
        "Größe, naïve café, Ærøskøbing, Þórður, İstanbul ığdır, ſtraße, Ǆ ǅ ǆ",
        "Привет, мир! Ёлка и объём; українська їжа; ѣ ѳ ѵ",
        "Ἐν ἀρχῇ ἦν ὁ λόγος — και καλημέρα",
        "שָׁלוֹם עוֹלָם וְאַהֲבָה",
        "السلام عليكم ورحمة الله وبركاته ١٢٣٤٥",
        "नमस्ते दुनिया, क्षत्रिय १२३",
        "สวัสดีชาวโลก ภาษาไทยไม่มีช่องว่าง",
        "你好，世界。天下大勢，分久必合，合久必分。㐀㐁𠀀𠀁",
        "吾輩は猫である。名前はまだ無い。カタカナｶﾀｶﾅ１２３",
        "안녕하세요 세계 각각 \u{1100}\u{1161}\u{11A8} 한글",
        "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ꮳꮃꭹ",
        "ሰላም ልዑል አማርኛ",
        "e\u{301} o\u{308}\u{323} a\u{323}\u{308} \u{212B} \u{2126} \u{FB01} \u{1E9B}\u{323} \u{0344}",
        "x\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}y",
        "😀😃👍🏽👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪🇫🇷 ☃️ ❤\u{FE0F}",
        "\u{0}\u{1}\u{2}\u{7}\u{8}\u{b}\u{c}\u{e}\u{1b}[0m\u{7f}\u{80}\u{85}\u{9f}\u{a0}\u{ad}",
        "a\u{0}b\u{0}\u{0}c \u{0} d",
        "\u{feff}BOM first, \u{fffd} replacement, \u{fffe}\u{ffff} noncharacters, \u{10ffff}",
        "zero\u{200b}width\u{200c}joiners\u{200d}and\u{2060}marks\u{200e}\u{200f}\u{202a}\u{202e}",
        "spaces:\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}end",
        "▁",
        "▁▁",
        "▁a ▁b▁ c ▁ ▁▁d▁▁▁",
        " ▁ a▁ ",
        "<0x0A><0xE2>< 0xE2><0xe2>",
        "Ġa Ċb ĠĠ Ä Â",
        "<s></s><unk><pad><|endoftext|><|im_start|><fim><mask>[MASK]",
        "a</s>b </s> c< /s>d</ s>",
        "http://www.example.com/a/b?c=d&e=f#g user@example.org C:\\Windows\\System32\\",
        "1234567890 12,345.678 0x1F 1e10 3/4 ½ ² ₃ Ⅷ ④ ௧௨",
        "----------========~~~~~~~~########********________::::::::",
        "!!!???...,,,;;;:::'''\"\"\"```((([[[{{{}}}]]])))",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    for run in [3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 1000] {
        texts.push(" ".repeat(run));
        texts.push(format!("x{}y{}\n{}z", " ".repeat(run), "\t".repeat(run), "\n".repeat(run)));
        texts.push(format!("{} {} {}", "a".repeat(run), "ab".repeat(run), "-".repeat(run)));
        texts.push(format!("{}{}{}", "é".repeat(run), "語".repeat(run), "😀".repeat(run)));
    }
    texts.push("pneumonoultramicroscopicsilicovolcanoconiosis".repeat(50));
    texts.push("ACGTTGCA".repeat(600));
    // Every pair of printable ASCII characters, both ways round.
    for left in ' '..='~' {
        texts.push((' '..='~').flat_map(|right| [left, right]).collect());
    }
    for token in added.iter().take(512) {
        let name = &token.content;
        texts.push(name.clone());
        texts.push(format!("before{name}after {name} {name}{name}  {name}\n{name}▁{name}"));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_end_between_characters() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 3), "aé");
        assert_eq!(head("aé", 99), "aé");
    }

    #[test]
    fn every_printable_pair_is_probed() {
        let mut seen = vec![false; 95 * 95];
        for text in texts(&[]) {
            for pair in text.as_bytes().windows(2) {
                if pair.iter().all(|byte| (32..127).contains(byte)) {
                    seen[usize::from(pair[0] - 32) * 95 + usize::from(pair[1] - 32)] = true;
                }
            }
        }
        let missing = seen.iter().filter(|seen| !**seen).count();
        assert_eq!(missing, 0, "pairs of printable ASCII never meet");
    }
}
