#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| { let _ = syllabus::curriculum::parse(std::str::from_utf8(data).unwrap_or(""), "x", false); });
