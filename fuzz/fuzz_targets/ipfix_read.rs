#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntap_fuzz::ipfix_read::run(data));
