#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntap_fuzz::packet::run(data));
