#![no_main]

libfuzzer_sys::fuzz_target!(|answer: &[u8]| {
    reflow_backend_lsf::fuzzing::lsf_names(answer);
});
