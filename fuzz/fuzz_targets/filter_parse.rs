#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntap_fuzz::filter_parse::run(data));
