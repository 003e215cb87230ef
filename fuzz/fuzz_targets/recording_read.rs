#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntap_fuzz::recording_read::run(data));
