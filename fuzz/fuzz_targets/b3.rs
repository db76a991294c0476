#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| throughline_tests::parsers::b3(data));
