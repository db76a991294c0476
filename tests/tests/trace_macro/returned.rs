//! Futures and streams that are returned.

use core::fmt::Display;
use core::future::{Future, ready};
use core::num::ParseIntError;
use core::pin::Pin;

use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use throughline::{Context, span, trace};

use crate::{Failure, check, traced};
#[test]
fn async_trait_shows_its_futures() {
    #[async_trait::async_trait]
    trait Service {
        async fn call(&self, pair: (u8, u8), id: u64) -> Result<u64, Failure>;
    }
    struct Orders;
    #[async_trait::async_trait]
    impl Service for Orders {
        #[trace(err)]
        async fn call(&self, (a, _b): (u8, u8), id: u64) -> Result<u64, Failure> {
            span!("inside").in_scope(|| ());
            ready(()).await;
            check(a > 1).map(|n| n + id)
        }
    }

    let memory = traced(|| {
        let service: Box<dyn Service> = Box::new(Orders);
        assert_eq!(block_on(service.call((1, 1), 1)), Err(Failure("checked")));
    });
    memory.assert_tree("call (error)\n  inside");
    assert_eq!(memory.span("call").attributes, [("id".to_owned(), "1".to_owned())]);
}

#[test]
fn returned_futures_are_in_the_span_with_the_call_that_makes_them() {
    #[trace]
    fn opaque(id: u64) -> impl Future<Output = u64> + Send {
        span!("making").in_scope(|| ());
        async move {
            ready(()).await;
            span!("polling").in_scope(|| ());
            id
        }
    }
    #[trace(err)]
    fn inferred() -> impl Future<Output = Result<u64, Wrapped>> {
        async { Ok(check(false)?) }
    }
    #[trace]
    fn inferred_too() -> impl Future<Output = Result<u64, Wrapped>> {
        async { Ok(check(true)?) }
    }
    #[trace(ret)]
    fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = &'a str> + Send + 'a>> {
        Box::pin(async move { text })
    }
    #[trace]
    fn named(text: &str) -> BoxFuture<'_, usize> {
        async move { text.len() }.boxed()
    }
    type Later<T> = Pin<Box<dyn Future<Output = T>>>;
    #[trace(future, err(Debug))]
    fn alias() -> Later<Result<(), Wrapped>> {
        Box::pin(ready(Err(Wrapped)))
    }

    let memory = traced(|| {
        assert_eq!(block_on(opaque(3)), 3);
        assert!(block_on(inferred()).is_err());
        assert!(block_on(inferred_too()).is_ok());
        assert_eq!(block_on(boxed("b")), "b");
        assert_eq!(block_on(named("abc")), 3);
        assert!(block_on(alias()).is_err());
        drop(opaque(4));
    });
    memory.assert_tree(
        "
        opaque
          making
          polling
        inferred (error)
        inferred_too
        boxed
        named
        alias (error)
        opaque (dropped)
          making
    ",
    );
    assert_eq!(memory.span("boxed").attribute("return"), Some("b"));
}

#[test]
fn streams_are_in_the_span_from_the_call_to_their_end() {
    #[trace]
    fn opaque(up_to: u8) -> impl Stream<Item = Result<u8, Wrapped>> + Send {
        async_stream::try_stream! {
            for n in 0..up_to {
                span!("item").in_scope(|| ());
                check(true)?;
                yield n;
            }
        }
    }
    #[trace(stream)]
    fn boxed(items: &[u8]) -> BoxStream<'_, u8> {
        stream::iter(items.iter().copied()).boxed()
    }
    #[trace]
    fn dynamic() -> Pin<Box<dyn Stream<Item = u8> + Send>> {
        Box::pin(stream::iter([1, 2]))
    }

    let memory = traced(|| {
        let items: Vec<_> = block_on(opaque(2).map(Result::unwrap).collect());
        assert_eq!(items, [0, 1]);
        assert_eq!(block_on(boxed(&[1, 2]).collect::<Vec<_>>()), [1, 2]);
        let mut unfinished = dynamic();
        assert_eq!(block_on(unfinished.next()), Some(1));
    });
    memory.assert_tree(
        "
        opaque
          item
          item
        boxed
        dynamic (cancelled)
    ",
    );
}

#[test]
fn an_error_ends_the_span_of_a_stream() {
    type Items = Vec<Result<u8, ParseIntError>>;
    #[trace(err)]
    fn opaque(texts: &[&str]) -> impl Stream<Item = Result<u8, ParseIntError>> {
        let items: Items = texts.iter().map(|text| text.parse()).collect();
        stream::iter(items)
    }
    #[trace(err)]
    fn boxed(texts: &[&str]) -> BoxStream<'static, Result<u8, ParseIntError>> {
        let items: Items = texts.iter().map(|text| text.parse()).collect();
        stream::iter(items).boxed()
    }

    let memory = traced(|| {
        assert_eq!(block_on(opaque(&["1", "x"]).count()), 2);
        assert_eq!(block_on(boxed(&["1", "x", "y"]).count()), 3);
        assert_eq!(block_on(boxed(&["1"]).count()), 1);
    });
    memory.assert_tree("opaque (error)\nboxed (error)\nboxed");
    for span in &memory.spans()[..2] {
        let [(event, attributes)] = &span.events[..] else { panic!("one event: {span:?}") };
        assert_eq!(event, "exception");
        assert!(attributes.iter().any(|(_, text)| text == "invalid digit found in string"));
    }
}

#[test]
fn futures_stay_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    #[trace(err, ret, fields(rc = %std::rc::Rc::new(1)))]
    async fn plain(text: &str) -> Result<usize, Failure> {
        ready(()).await;
        Ok(text.len())
    }
    #[trace(parent = &Context::current())]
    async fn below() {
        ready(()).await;
    }

    let memory = traced(|| {
        assert_eq!(block_on(is_send(plain("abc"))), Ok(3));
        block_on(is_send(below()));
    });
    memory.assert_tree("plain\nbelow");
}

/// What `?` makes of a failure, if the function's return type tells it to.
#[derive(Debug)]
struct Wrapped;

impl From<Failure> for Wrapped {
    fn from(_: Failure) -> Self {
        Wrapped
    }
}

impl Display for Wrapped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("wrapped")
    }
}
