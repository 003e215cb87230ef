#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntap_fuzz::engine::run(data));
