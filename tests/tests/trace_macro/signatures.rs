//! What a function may be: it stays that.

use core::fmt::{Debug, Display};
use core::future::{Future, ready};

use futures::executor::block_on;
use throughline::trace;

use crate::{Failure, check, traced};

#[test]
fn references_come_from_arguments() {
    struct Store {
        items: Vec<String>,
    }
    impl Store {
        #[trace]
        fn first(&self) -> &str {
            &self.items[0]
        }
        #[trace]
        fn first_mut(&mut self, index: usize) -> &mut String {
            &mut self.items[index]
        }
        #[trace(skip(self), err)]
        async fn find<'a>(&'a self, name: &str) -> Result<&'a String, Failure> {
            self.items.iter().find(|item| *item == name).ok_or(Failure("absent"))
        }
        #[trace(fields(len = self.items.len()))]
        async fn push(&mut self, mut item: String) -> &mut Self {
            item.push('!');
            ready(()).await;
            self.items.push(item);
            self
        }
        #[trace]
        fn into_items(self) -> Vec<String> {
            self.items
        }
    }
    #[trace]
    fn longest<'a>(a: &'a str, b: &'a str) -> &'a str {
        if a.len() < b.len() { b } else { a }
    }
    #[trace]
    fn elided<'a>(text: &'a str, _other: &str) -> Option<std::borrow::Cow<'a, str>> {
        Some(text.into())
    }

    let memory = traced(|| {
        let mut store = Store { items: vec!["a".to_owned()] };
        store.first_mut(0).push('b');
        assert_eq!(store.first(), "ab");
        block_on(async { store.push("c".to_owned()).await.first().len() });
        assert_eq!(block_on(store.find("c!")).unwrap(), "c!");
        assert_eq!(store.into_items().len(), 2);
        assert_eq!(longest("a", "bc"), "bc");
        assert_eq!(elided("a", "b").unwrap(), "a");
    });
    assert_eq!(memory.spans().len(), 8);
    assert_eq!(memory.span("push").attribute("len"), Some("1"));
    assert_eq!(memory.span("find").attributes, [("name".to_owned(), "c!".to_owned())]);
}

#[test]
fn generics_and_impl_trait_stay() {
    #[trace]
    fn generic<T, const N: usize>(item: T) -> [T; N]
    where
        T: Debug + Clone,
    {
        core::array::from_fn(|_| item.clone())
    }
    #[trace]
    fn opaque(up_to: impl Into<u32> + Debug + Copy) -> impl Iterator<Item = u32> + Clone {
        (0..up_to.into()).map(|n| n * 2)
    }
    #[trace(skip(work))]
    fn adder(work: impl Fn(u32) -> u32) -> impl Fn(u32) -> u32 {
        move |n| work(n) + 1
    }
    #[trace]
    async fn later<T: Into<u64> + Debug + Send>(n: T) -> Result<impl Display, Failure> {
        Ok(check(true)? + n.into())
    }

    let memory = traced(|| {
        assert_eq!(generic::<_, 2>('x'), ['x', 'x']);
        assert_eq!(opaque(3u8).sum::<u32>(), 6);
        assert_eq!(adder(|n| n * 2)(4), 9);
        assert_eq!(block_on(later(1u8)).unwrap().to_string(), "8");
    });
    memory.assert_tree("generic\nopaque\nadder\nlater");
}

#[test]
fn qualifiers_and_attributes_stay() {
    /// Documented.
    #[trace]
    #[must_use]
    #[inline]
    pub(crate) unsafe extern "C" fn raw(pointer: *const u8) -> u8 {
        #![allow(unused_variables)]
        let nothing = 0;
        // SAFETY: the caller says that it may be read.
        unsafe { *pointer }
    }
    #[trace(ret)]
    async unsafe fn raw_later(pointer: *const u8) -> u8 {
        // SAFETY: the caller says that it may be read.
        unsafe { *pointer }
    }
    #[trace]
    fn conditional(#[cfg(any())] absent: Absent, #[cfg(test)] present: u8) {}

    let memory = traced(|| {
        let byte = 5;
        // SAFETY: it is the address of a variable.
        assert_eq!(unsafe { raw(&raw const byte) }, 5);
        // SAFETY: as above.
        assert_eq!(unsafe { block_on(raw_later(&raw const byte)) }, 5);
        conditional(1);
    });
    memory.assert_tree("raw\nraw_later\nconditional");
    assert_eq!(memory.span("conditional").attribute("present"), Some("1"));
}

#[test]
fn methods_of_traits_are_traced_in_traits_and_implementations() {
    trait Service {
        fn name(&self) -> String;

        #[trace]
        fn provided(&self) -> usize {
            self.name().len()
        }

        fn call(&self, id: u64) -> impl Future<Output = Result<u64, Failure>> + Send;
    }
    struct Orders;
    impl Service for Orders {
        #[trace]
        fn name(&self) -> String {
            "orders".to_owned()
        }

        #[trace(err)]
        async fn call(&self, id: u64) -> Result<u64, Failure> {
            Ok(check(true)? + id)
        }
    }

    traced(|| {
        assert_eq!(Orders.provided(), 6);
        assert_eq!(block_on(Orders.call(1)), Ok(8));
    })
    .assert_tree("provided\n  name\ncall");
}
