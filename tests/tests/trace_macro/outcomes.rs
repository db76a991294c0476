//! `err` and `ret`.

use core::future::ready;

use futures::executor::block_on;
use throughline::{StatusCode, trace};

use crate::{Failure, attributes, check, traced};

#[test]
fn an_error_is_the_status_and_an_event() {
    #[trace(err)]
    fn sync(ok: bool) -> Result<u64, Failure> {
        Ok(check(ok)? + 1)
    }
    #[trace(err)]
    async fn later(ok: bool) -> Result<u64, Failure> {
        ready(()).await;
        Ok(check(ok)? + 1)
    }
    #[trace(err(Debug))]
    fn debugged() -> Result<(), Failure> {
        Err(Failure("debug"))
    }

    let memory = traced(|| {
        assert_eq!(sync(false), Err(Failure("checked")));
        assert_eq!(block_on(later(false)), Err(Failure("checked")));
        assert!(debugged().is_err());
    });
    memory.assert_tree("sync (error)\nlater (error)\ndebugged (error)");
    for name in ["sync", "later"] {
        let span = memory.span(name);
        assert_eq!(span.status, (StatusCode::Error, "failed: checked".to_owned()));
        let attributes = [
            ("exception.type".to_owned(), core::any::type_name::<Failure>().to_owned()),
            ("exception.message".to_owned(), "failed: checked".to_owned()),
        ];
        assert_eq!(span.events, [("exception".to_owned(), attributes.to_vec())]);
    }
    assert_eq!(memory.span("debugged").status.1, "Failure(\"debug\")");

    let memory = traced(|| {
        assert_eq!(sync(true), Ok(8));
        assert_eq!(block_on(later(true)), Ok(8));
    });
    memory.assert_tree("sync\nlater");
    assert!(memory.spans().iter().all(|span| span.events.is_empty()));
}

#[test]
fn the_returned_value_is_an_attribute() {
    #[trace(ret, skip_all)]
    fn number(n: u8) -> u8 {
        n + 1
    }
    #[trace(ret)]
    async fn list() -> Vec<u8> {
        vec![1, 2]
    }
    #[trace(ret(Debug))]
    fn quoted() -> &'static str {
        "text"
    }
    #[trace(ret(Display))]
    fn displayed() -> Failure {
        Failure("shown")
    }
    #[trace(ret, err)]
    fn either(ok: bool) -> Result<u64, Failure> {
        check(ok)
    }

    assert_eq!(attributes(|| _ = number(1)), ["return = I64(2)"]);
    assert_eq!(attributes(|| _ = block_on(list())), ["return = Str(\"[1, 2]\")"]);
    assert_eq!(attributes(|| _ = quoted()), ["return = Str(\"\\\"text\\\"\")"]);
    assert_eq!(attributes(|| _ = displayed()), ["return = Str(\"failed: shown\")"]);
    assert_eq!(attributes(|| _ = either(true)), ["ok = Bool(true)", "return = I64(7)"]);
    assert_eq!(attributes(|| _ = either(false)), ["ok = Bool(false)"]);
}
