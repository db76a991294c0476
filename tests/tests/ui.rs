//! Misuse of `#[trace]` is refused where it stands and in its own words.
//!
//! Only the macro's own messages are compared, so that a new compiler changes
//! nothing here. The first run checks the dependencies once more, into a
//! directory of its own: about a minute on two cores, later runs take seconds.

#[test]
fn misuse_is_a_clear_error() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
