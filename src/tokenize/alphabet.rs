//! The characters by which byte-level files spell bytes: printable bytes stand for themselves, the 68 others, in order, are
//! U+0100 and on. (GPT-2's encoder has it so, and all since.)

/// For each character below U+0144: 1 + its byte; 0 when it has none.
const BYTES: [u16; 0x144] = {
    let mut bytes = [0; 0x144];
    let (mut byte, mut next): (u16, u16) = (0, 0x100);
    while byte < 0x100 {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let letter = if printable { byte } else { next };
        if !printable {
            next += 1;
        }
        bytes[letter as usize] = 1 + byte;
        byte += 1;
    }
    bytes
};

/// The character of each byte.
const LETTERS: [char; 0x100] = {
    let mut letters = ['\0'; 0x100];
    let mut letter: u16 = 0;
    while (letter as usize) < BYTES.len() {
        if let Some(byte) = BYTES[letter as usize].checked_sub(1)
            && let Some(of) = char::from_u32(letter as u32)
        {
            letters[byte as usize] = of;
        }
        letter += 1;
    }
    letters
};

/// The character that stands for a byte.
#[must_use]
pub fn letter_of(byte: u8) -> char {
    LETTERS[usize::from(byte)]
}

/// The byte that a character stands for.
#[must_use]
pub fn byte_of(letter: char) -> Option<u8> {
    let byte = BYTES.get(letter as usize)?.checked_sub(1)?;
    u8::try_from(byte).ok()
}

/// Appends the bytes that a piece stands for; whether all of its characters stand for some.
pub fn bytes_of(piece: &str, bytes: &mut Vec<u8>) -> bool {
    piece.chars().all(|letter| byte_of(letter).map(|byte| bytes.push(byte)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_bijection() {
        let mut seen = [false; 256];
        for letter in (0..0x200).filter_map(char::from_u32) {
            if let Some(byte) = byte_of(letter) {
                assert!(!std::mem::replace(&mut seen[usize::from(byte)], true), "{letter:?}");
                assert_eq!(letter_of(byte), letter);
            }
        }
        assert!(seen.iter().all(|seen| *seen));
        assert_eq!((byte_of('Ġ'), byte_of('Ċ'), byte_of('a')), (Some(b' '), Some(b'\n'), Some(b'a')));
        assert_eq!((byte_of(' '), byte_of('\u{ad}'), byte_of('▁')), (None, None, None));
    }

    #[test]
    fn pieces_are_spelled_out() {
        let mut bytes = Vec::new();
        assert!(bytes_of("ĠÃ©", &mut bytes));
        assert_eq!(bytes, " é".as_bytes());
        assert!(!bytes_of("a b", &mut Vec::new()));
    }
}
