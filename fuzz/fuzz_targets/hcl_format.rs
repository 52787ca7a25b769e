//! What is formatted can be read again, and is formatted as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(formatted) = bakehouse_hcl::format(text) {
        assert!(bakehouse_hcl::parse_body(&formatted).is_ok(), "{formatted}");
        assert_eq!(bakehouse_hcl::format(&formatted).as_deref(), Ok(formatted.as_str()));
    }
});
