//! Misuse is refused where it stands and in our own words: of `#[trace]`, and of
//! an exporter on a runtime that it does not work on.
//!
//! Of the macro only its own messages are compared, so that a new compiler changes
//! nothing here; around the words on the exporter stand the compiler's. The first run checks the dependencies once more, into a
//! directory of its own: about a minute on two cores, later runs take seconds.

#[test]
fn misuse_is_a_clear_error() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
