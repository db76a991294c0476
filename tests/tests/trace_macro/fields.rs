//! Arguments and fields as attributes.

use core::cell::Cell;
use core::fmt::{Debug, Display};

use futures::executor::block_on;
use throughline::exporters::Memory;
use throughline::{AlwaysOff, Thread, builder, trace};

use crate::{Failure, attributes, traced};

#[test]
fn arguments_are_typed_attributes() {
    #[derive(Debug)]
    struct Point {
        x: u8,
        y: u8,
    }
    #[trace]
    #[expect(clippy::too_many_arguments, reason = "one of each")]
    fn all(
        int: i32,
        float: f32,
        yes: bool,
        text: &str,
        owned: String,
        letter: char,
        huge: u128,
        count: &mut usize,
        debugged: Option<u8>,
        (a, b): (u8, [u8; 2]),
        Point { x, y: z }: Point,
        r#type: &'static str,
    ) {
        *count += 1;
    }

    let attributes = attributes(|| {
        let point = Point { x: 5, y: 6 };
        let owned = "o".to_owned();
        all(-1, 0.5, true, "t", owned, 'c', 1 << 70, &mut 2, Some(3), (4, [4, 4]), point, "k");
    });
    let expected = [
        "int = I64(-1)",
        "float = F64(0.5)",
        "yes = Bool(true)",
        "text = Str(\"t\")",
        "owned = Str(\"o\")",
        "letter = Str(\"c\")",
        "huge = Str(\"1180591620717411303424\")",
        "count = I64(2)",
        "debugged = Str(\"Some(3)\")",
        "a = I64(4)",
        "b = Str(\"[4, 4]\")",
        "x = Str(\"5\")",
        "z = Str(\"6\")",
        "type = Str(\"k\")",
    ];
    assert_eq!(attributes, expected);
}

#[test]
fn what_is_skipped_needs_no_debug() {
    #[trace(skip(opaque, b))]
    fn some(opaque: Opaque, id: u8, (a, b): (u8, Opaque)) {
        let (_, _) = (opaque, b);
    }
    #[trace(skip_all)]
    async fn none(_opaque: &Opaque, _id: u8) {}

    assert_eq!(attributes(|| some(Opaque, 1, (2, Opaque))), ["id = I64(1)", "a = I64(2)"]);
    assert!(attributes(|| block_on(none(&Opaque, 1))).is_empty());
}

#[test]
fn fields_have_the_grammar_of_span_and_replace_arguments() {
    const LIMIT: u64 = 10;
    #[trace(skip(opaque), fields(
        http.route = "/x",
        "literal key" = 1 + 2,
        shown = %path.display(),
        kind.type = ?Some(limit),
        %id,
        ?limit,
        LIMIT,
        len = path.as_os_str().len() as f64,
    ))]
    fn work(id: Failure, limit: u64, path: &std::path::Path, opaque: Opaque, last: u8) {
        let _ = (id, opaque);
    }

    let attributes = attributes(|| work(Failure("id"), 3, std::path::Path::new("/"), Opaque, 9));
    let expected = [
        "path = Str(\"\\\"/\\\"\")",
        "last = I64(9)",
        "http.route = Str(\"/x\")",
        "literal key = I64(3)",
        "shown = Str(\"/\")",
        "kind.type = Str(\"Some(3)\")",
        "id = Str(\"failed: id\")",
        "limit = Str(\"3\")",
        "LIMIT = I64(10)",
        "len = F64(1.0)",
    ];
    assert_eq!(attributes, expected);
}

#[test]
fn nothing_is_evaluated_for_a_span_that_is_not_recorded() {
    struct Loud<'a>(&'a Cell<u32>);
    impl Debug for Loud<'_> {
        fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
    }
    impl Display for Loud<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            Debug::fmt(self, f)
        }
    }
    #[trace(err, ret(Debug), fields(n = { looks.set(looks.get() + 1); 1 }))]
    fn sync<'a>(loud: Loud<'a>, looks: &'a Cell<u32>) -> Result<Loud<'a>, Loud<'a>> {
        if looks.get() == u32::MAX { Ok(loud) } else { Err(loud) }
    }
    #[trace(err, ret(Debug), skip(looks), fields(n = { looks.set(looks.get() + 1); 1 }))]
    async fn later<'a>(loud: Loud<'a>, looks: &'a Cell<u32>) -> Result<Loud<'a>, Loud<'a>> {
        if looks.get() == u32::MAX { Ok(loud) } else { Err(loud) }
    }

    let looks = Cell::new(0);
    let run = || {
        assert!(sync(Loud(&looks), &looks).is_err());
        assert!(block_on(later(Loud(&looks), &looks)).is_err());
    };
    // Without a pipeline, and without being sampled.
    run();
    let telemetry = builder().sampler(AlwaysOff).start(Thread::start().unwrap(), Memory::new());
    telemetry.context().scope(run);
    assert_eq!(looks.get(), 0);
    drop(traced(run));
    assert!(looks.get() > 0);
}

/// It has no `Debug`.
struct Opaque;
