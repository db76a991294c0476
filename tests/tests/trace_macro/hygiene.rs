//! The expansion and the code around it do not meet.

use futures::executor::block_on;
use throughline::trace;

use crate::{Failure, attributes, traced};

#[test]
fn names_of_the_expansion_do_not_meet_those_of_the_user() {
    mod renamed {
        pub(super) use ::throughline as telemetry;
    }
    #[allow(non_camel_case_types, dead_code, reason = "names that the expansion could mean")]
    mod hostile {
        use super::{Failure, trace};
        struct Result;
        struct Box;
        struct String;
        struct Span;
        mod std {}
        mod core {}
        mod throughline {}

        #[trace(ret(Debug), err)]
        pub(super) fn sync(
            span: u8,
            outcome: u8,
            value: u8,
        ) -> ::core::result::Result<u8, Failure> {
            let never = span + outcome + value;
            Ok(never)
        }
        #[trace(ret(Debug), err, fields(error = span, message = outcome))]
        pub(super) async fn later(
            span: u8,
            outcome: u8,
            returned: u8,
        ) -> ::core::result::Result<u8, Failure> {
            let never = span + outcome + returned;
            Ok(never)
        }
    }
    #[trace(crate = renamed::telemetry, kind = Client)]
    fn elsewhere(span: u8) -> u8 {
        span
    }

    let memory = traced(|| {
        assert_eq!(hostile::sync(1, 2, 3), Ok(6));
        assert_eq!(block_on(hostile::later(1, 2, 3)), Ok(6));
        assert_eq!(elsewhere(1), 1);
    });
    memory.assert_tree("sync\nlater\nelsewhere");
    assert_eq!(memory.span("later").attribute("message"), Some("2"));
    assert_eq!(memory.span("elsewhere").attribute("span"), Some("1"));
}

#[test]
fn functions_made_by_macros_are_traced() {
    macro_rules! getter {
        ($name:ident, $ty:ty, $value:expr) => {
            #[trace(ret, name = "getter")]
            fn $name(argument: $ty) -> $ty {
                let span = $value;
                argument + span
            }
        };
    }
    getter!(get, u64, 4);

    let expected = ["argument = I64(1)", "return = I64(5)"];
    assert_eq!(attributes(|| assert_eq!(get(1), 5)), expected);
}
