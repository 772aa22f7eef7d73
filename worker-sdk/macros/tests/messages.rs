//! What the compiler says of code that the attributes cannot take. After a change of a message, `TRYBUILD=overwrite` writes
//! what it says now; look at the difference.

#[test]
fn what_cannot_be_taken_is_told_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
