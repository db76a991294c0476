//! `#[trace]`: functions, and the futures and streams they return, as spans.
//!
//! ```text
//!   #[trace(..)] ──▶ options ──┐
//!   fn .. { .. } ──▶ function ─┴─▶ shape, args, outcome ──▶ expand ──▶ the fn, traced
//! ```
//!
//! It is used through `throughline`, whose feature `macros` turns it on; the
//! code it expands to names that crate and nothing else.

#![forbid(unsafe_code)]

mod args;
mod expand;
mod field;
mod function;
mod options;
mod outcome;
mod record;
mod shape;
mod variable;

use proc_macro::TokenStream;

/// Puts a function, and the future or stream it returns, in a span.
///
/// ```
/// use throughline::trace;
///
/// #[trace]
/// fn checksum(data: &[u8], seed: u8) -> u8 {
///     data.iter().fold(seed, |sum, byte| sum ^ byte)
/// }
///
/// #[trace(kind = Client, skip(token), err)]
/// async fn load(id: u64, token: &str) -> Result<String, std::num::ParseIntError> {
///     let shard: u8 = token.parse()?;
///     Ok(format!("{shard}/{id}"))
/// }
/// # assert_eq!(checksum(&[1, 2], 0), 3);
/// # fn is_send(_: &impl Send) {}
/// # is_send(&load(1, "2"));
/// ```
///
/// The function stays what it was: its signature, its attributes, `return` and
/// `?`, and whether its future is `Send`. It begins a span, as `span!` does: below
/// the current one, in the scope of the crate in which it stands. Attributes are
/// computed **only when the span is recorded**.
///
/// # How long the span lasts
///
/// | function | from | until |
/// |---|---|---|
/// | `async fn` | its first poll | it is ready, or dropped: cancelled |
/// | returns `impl Future`, `Pin<Box<dyn Future>>`, `BoxFuture` | the call | the same |
/// | returns `impl Stream`, `Pin<Box<dyn Stream>>`, `BoxStream` | the call | it is exhausted, or dropped |
/// | any other | the call | it returns |
///
/// A panic ends the span as panicked in each case. What decides is how the
/// return type is written; for a future or stream behind another alias say
/// [`future`](#future-stream) or `stream`. Methods under `#[async_trait]` need
/// nothing: they return a `Pin<Box<dyn Future>>` when `#[trace]` sees them.
///
/// ```
/// # use throughline::trace;
/// # use std::future::Future;
/// #[trace]
/// fn answer(question: String) -> impl Future<Output = usize> + Send {
///     // In the span as well as what is polled later.
///     let length = question.len();
///     async move { length }
/// }
/// # drop(answer(String::new()));
/// ```
///
/// # Arguments
///
/// Each argument is an attribute of its name: numbers, `bool`, `str` and `String`,
/// also behind references, as what they are; `char`, `i128` and `u128` by
/// `Display`; all else by `Debug`. Of a pattern, the variables that it binds are
/// recorded. `self` never is. As a macro sees types only as they are written, an
/// alias of `u64` counts as "all else".
///
/// ```
/// # use throughline::trace;
/// #[derive(Debug)]
/// struct Size { width: u32, height: u32 }
///
/// // `scale` is a number; `width`, `height` and `label` are text.
/// #[trace]
/// fn area(scale: f64, Size { width, height }: Size, label: Option<&str>) -> f64 {
///     # let _ = label;
///     f64::from(width * height) * scale
/// }
/// # assert_eq!(area(2.0, Size { width: 2, height: 3 }, None), 12.0);
/// ```
///
/// # Options
///
/// Each is given at most once, in any order.
///
/// ## `name`, `kind`
///
/// The name of the span, a literal, instead of the function's; and its kind:
/// `Internal` (the default), `Server`, `Client`, `Producer` or `Consumer`.
///
/// ```
/// # use throughline::trace;
/// #[trace(name = "GET /orders", kind = Server)]
/// async fn orders() {}
/// # drop(orders());
/// ```
///
/// ## `root`, `parent`
///
/// The root of a new trace; or below the context that an expression yields, a
/// `&Context`. It may use the arguments, and runs whether or not the span is
/// recorded.
///
/// ```
/// # use throughline::trace;
/// use throughline::Context;
///
/// #[trace(root)]
/// fn sweep() {}
///
/// struct Job { origin: Context, id: u64 }
///
/// #[trace(parent = &job.origin, skip(job), fields(job.id = job.id))]
/// async fn run(job: Job) -> u64 {
///     job.id
/// }
/// # sweep();
/// ```
///
/// ## `skip`, `skip_all`
///
/// Arguments that are not recorded, by the names they bind. They need no `Debug`.
///
/// ```
/// # use throughline::trace;
/// struct Secret(String);
///
/// #[trace(skip(password))]
/// fn log_in(user: &str, password: Secret) -> bool {
///     user == "admin" && password.0 == "swordfish"
/// }
///
/// #[trace(skip_all)]
/// fn log_out(_: Secret) {}
/// # assert!(!log_in("", Secret(String::new())));
/// ```
///
/// ## `fields`
///
/// More attributes, in the grammar of `span!`: `key = value`, a variable that gives
/// its name, `%` for `Display` and `?` for `Debug`. Keys may be dotted, or
/// literals. A field replaces the argument of its name.
///
/// ```
/// # use throughline::trace;
/// use std::path::Path;
///
/// #[trace(fields(path = %path.display(), http.route = "/files", range.end = range.end))]
/// fn read(path: &Path, range: std::ops::Range<u64>) -> u64 {
///     range.end - range.start
/// }
/// # assert_eq!(read(Path::new("/"), 1..3), 2);
/// ```
///
/// ## `err`, `err(Debug)`
///
/// For functions that return a `Result`: an `Err` sets the status Error and adds
/// the event `exception` with `exception.type` and `exception.message`, by `Display`
/// or, if asked for, by `Debug`. If it is an [`Error`](core::error::Error), or points
/// to one as `Box<dyn Error>` does, and has sources, they are in
/// `exception.stacktrace`.
/// ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
///
/// ```
/// # use throughline::trace;
/// #[trace(err(Debug))]
/// async fn connect(host: &str) -> Result<(), std::io::Error> {
///     Err(std::io::Error::other(host))
/// }
/// # drop(connect(""));
/// ```
///
/// On a stream of results, whose error is an [`Error`](core::error::Error), the first
/// `Err` is recorded and ends the span, as
/// `.try_in_span` of the facade
/// does.
///
/// ## `ret`, `ret(Display)`, `ret(Debug)`
///
/// The returned value as the attribute `return`, in the form an argument of its
/// type would have, or as asked for. Together with `err` it is the value in `Ok`.
///
/// ```
/// # use throughline::trace;
/// #[trace(err, ret)]
/// fn port(text: &str) -> Result<u16, std::num::ParseIntError> {
///     text.parse()
/// }
/// # assert_eq!(port("80"), Ok(80));
/// ```
///
/// ## `future`, `stream`
///
/// What is returned is a future, or a stream, though its type does not say so: an
/// alias of a `Pin<Box<dyn ..>>`. It is boxed once more.
///
/// ```
/// # use throughline::trace;
/// # use std::{future::Future, pin::Pin};
/// type Reply<T> = Pin<Box<dyn Future<Output = T> + Send>>;
///
/// #[trace(future)]
/// fn ping() -> Reply<&'static str> {
///     Box::pin(async { "pong" })
/// }
/// # drop(ping());
/// ```
///
/// ## `crate`
///
/// Where `throughline` is found, if not at `::throughline`.
///
/// ```
/// mod telemetry {
///     pub use throughline;
/// }
///
/// #[telemetry::throughline::trace(crate = telemetry::throughline)]
/// fn renamed() {}
/// # renamed();
/// ```
///
/// # Limits
///
/// - A body that is not `async` runs as a closure: in a `#[track_caller]` function,
///   `Location::caller` names the function itself, not its caller.
/// - A `const fn` is refused: it may run in the compiler.
/// - A future that is made by an `async fn` and never polled leaves no span; one
///   that another function returned leaves a span that was dropped.
#[proc_macro_attribute]
pub fn trace(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item.clone()).unwrap_or_else(|error| {
        // The function stays, so that this is the only error.
        let mut tokens = TokenStream::from(error.into_compile_error());
        tokens.extend(item);
        tokens
    })
}

fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let function = syn::parse(item)?;
    let options = syn::parse(options)?;
    expand::expand(&options, &function).map(TokenStream::from)
}
