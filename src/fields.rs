//! The `span!` macro and the values of its fields.

use core::fmt::{Debug, Display};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use throughline_core::{Key, Value};
use throughline_runtime::Span;

/// Begins a span.
///
/// ```
/// use throughline::{Context, span};
/// # let (id, path, error) = (7, std::path::Path::new("/"), "none");
///
/// let mut load = span!("load", id, retries = 3, path = %path.display(), ?error);
/// let incoming = Context::current();
/// let serve = span!(parent: &incoming, kind: Server, "GET /orders", http.route = "/orders");
/// let detached = span!(root, "sweep");
/// # let _ = (&mut load, serve, detached);
/// ```
///
/// - The name is a literal; [`Span::update_name`] sets another one later.
/// - A field is `key = value`, a variable that gives its name, `%value` by
///   [`Display`] or `?value` by [`Debug`]. Keys may be dotted, or literals. The
///   expressions run only when the span is recorded. Two fields of one key do
///   not compile.
/// - `parent: &context` begins below that context instead of the current one,
///   `root` a new trace, `kind: Server` says the [kind](crate::SpanKind).
///
/// The scope is the crate in which the macro stands.
///
/// Attributes given here are better than later ones: a sampler sees no others.
#[macro_export]
macro_rules! span {
    (@options [$($options:tt)*] parent: $parent:expr, $($rest:tt)*) => {
        $crate::span!(@options [$($options)* .parent($parent)] $($rest)*)
    };
    (@options [$($options:tt)*] kind: $kind:ident, $($rest:tt)*) => {
        $crate::span!(@options [$($options)* .kind($crate::SpanKind::$kind)] $($rest)*)
    };
    (@options [$($options:tt)*] root, $($rest:tt)*) => {
        $crate::span!(@options [$($options)* .root()] $($rest)*)
    };
    (@options [] $name:literal $(, $($fields:tt)*)?) => {{
        $crate::span!(@callsite $name);
        $crate::Span::start(&CALLSITE, |span| {
            $crate::__fields!(span [] $($($fields)*)?);
        })
    }};
    (@options [$($options:tt)+] $name:literal $(, $($fields:tt)*)?) => {{
        $crate::span!(@callsite $name);
        // In one expression: what `parent` borrows may be a temporary.
        $crate::Span::start_with(&CALLSITE, $crate::SpanOptions::new() $($options)+, |span| {
            $crate::__fields!(span [] $($($fields)*)?);
        })
    }};
    (@callsite $name:literal) => {
        static SCOPE: $crate::Scope =
            $crate::Scope::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, &SCOPE);
    };
    // What none of the rules above takes must not come to the last one again.
    (@options $($misused:tt)*) => {
        compile_error!(
            "span! takes a literal name first; a name that is not known before goes to \
             `Span::update_name`"
        )
    };
    ($($all:tt)*) => {
        $crate::span!(@options [] $($all)*)
    };
}

/// Records the fields one by one, collecting their keys in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    ($span:ident []) => {
        let _ = $span;
    };
    ($span:ident [$($keys:expr),*]) => {
        const { assert!($crate::__private::is_distinct(&[$($keys),*]), "two fields have one key") };
    };
    ($span:ident [$($keys:expr),*] , $($rest:tt)*) => {
        $crate::__fields!($span [$($keys),*] $($rest)*)
    };
    // Shorthands: a variable names its field.
    ($span:ident [$($keys:expr),*] %$field:ident $(, $($rest:tt)*)?) => {
        $crate::__private::record_display($span, stringify!($field), &$field);
        $crate::__fields!($span [$($keys,)* stringify!($field)] $($($rest)*)?)
    };
    ($span:ident [$($keys:expr),*] ?$field:ident $(, $($rest:tt)*)?) => {
        $crate::__private::record_debug($span, stringify!($field), &$field);
        $crate::__fields!($span [$($keys,)* stringify!($field)] $($($rest)*)?)
    };
    ($span:ident [$($keys:expr),*] $field:ident $(, $($rest:tt)*)?) => {
        $crate::__private::record($span, const { &$crate::Key::new(stringify!($field)) }, &$field);
        $crate::__fields!($span [$($keys,)* stringify!($field)] $($($rest)*)?)
    };
    // Literal keys.
    ($span:ident [$($keys:expr),*] $key:literal = $($rest:tt)*) => {
        $crate::__field_value!($span [$($keys),*] ($key) $($rest)*)
    };
    // Dotted keys.
    ($span:ident [$($keys:expr),*] $first:ident $(. $part:ident)* = $($rest:tt)*) => {
        $crate::__field_value!(
            $span [$($keys),*] (concat!(stringify!($first) $(, ".", stringify!($part))*)) $($rest)*
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __field_value {
    ($span:ident [$($keys:expr),*] ($key:expr) %$value:expr $(, $($rest:tt)*)?) => {
        $crate::__private::record_display($span, $key, &$value);
        $crate::__fields!($span [$($keys,)* $key] $($($rest)*)?)
    };
    ($span:ident [$($keys:expr),*] ($key:expr) ?$value:expr $(, $($rest:tt)*)?) => {
        $crate::__private::record_debug($span, $key, &$value);
        $crate::__fields!($span [$($keys,)* $key] $($($rest)*)?)
    };
    // What begins a number below zero may begin any expression, and not every literal fragment
    // that fails lets another rule try.
    ($span:ident [$($keys:expr),*] ($key:expr) - $($rest:tt)*) => {
        $crate::__field_value!(@ $span [$($keys),*] ($key) - $($rest)*)
    };
    ($span:ident [$($keys:expr),*] ($key:expr) $value:literal $(, $($rest:tt)*)?) => {
        $crate::__private::record_literal(
            $span,
            const { &$crate::Key::new($key) },
            &$value,
        );
        $crate::__fields!($span [$($keys,)* $key] $($($rest)*)?)
    };
    ($span:ident [$($keys:expr),*] ($key:expr) $($rest:tt)*) => {
        $crate::__field_value!(@ $span [$($keys),*] ($key) $($rest)*)
    };
    (@ $span:ident [$($keys:expr),*] ($key:expr) $value:expr $(, $($rest:tt)*)?) => {
        $crate::__private::record($span, const { &$crate::Key::new($key) }, &$value);
        $crate::__fields!($span [$($keys,)* $key] $($($rest)*)?)
    };
}

/// What a field of [`span!`] may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an attribute value",
    note = "write `%value` to record it by `Display`, or `?value` by `Debug`"
)]
pub trait ToValue {
    /// The value, borrowed.
    fn to_value(&self) -> Value<'_>;
}

macro_rules! to_value {
    ($($type:ty),* $(,)?) => {$(
        impl ToValue for $type {
            #[inline]
            fn to_value(&self) -> Value<'_> {
                (*self).into()
            }
        }
    )*};
}

to_value!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, bool);

impl ToValue for str {
    #[inline]
    fn to_value(&self) -> Value<'_> {
        Value::Str(self)
    }
}

impl ToValue for String {
    #[inline]
    fn to_value(&self) -> Value<'_> {
        Value::Str(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Empty, ToValue::to_value)
    }
}

macro_rules! to_value_by_deref {
    ($($type:ty),*) => {$(
        impl<T: ToValue + ?Sized> ToValue for $type {
            #[inline]
            fn to_value(&self) -> Value<'_> {
                (**self).to_value()
            }
        }
    )*};
}

to_value_by_deref!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl ToValue for Cow<'_, str> {
    fn to_value(&self) -> Value<'_> {
        Value::Str(self)
    }
}

macro_rules! to_value_of_slices {
    ($($element:ty => $variant:ident),* $(,)?) => {$(
        impl ToValue for [$element] {
            fn to_value(&self) -> Value<'_> {
                Value::$variant(self)
            }
        }

        impl ToValue for Vec<$element> {
            fn to_value(&self) -> Value<'_> {
                Value::$variant(self)
            }
        }

        impl<const N: usize> ToValue for [$element; N] {
            fn to_value(&self) -> Value<'_> {
                Value::$variant(self)
            }
        }
    )*};
}

to_value_of_slices!(u8 => Bytes, i64 => I64s, f64 => F64s, bool => Bools);

impl ToValue for [&str] {
    fn to_value(&self) -> Value<'_> {
        Value::Strs(self)
    }
}

impl ToValue for Value<'_> {
    fn to_value(&self) -> Value<'_> {
        *self
    }
}

/// Records a field of a span that begins; its fields are distinct.
#[inline(always)]
pub fn record(span: &mut Span, key: &'static Key, value: &(impl ToValue + ?Sized)) {
    span.add_distinct_attribute(key, value.to_value());
}

/// As [`record`], where the value stands in the program's text.
#[inline(always)]
pub fn record_literal(span: &mut Span, key: &'static Key, value: &'static (impl ToValue + ?Sized)) {
    span.add_constant_attribute(key, value.to_value());
}

/// Records a field by `Display`.
pub fn record_display(span: &mut Span, key: &str, value: &(impl Display + ?Sized)) {
    span.set_attribute(key, value.to_string().as_str());
}

/// Records a field by `Debug`.
pub fn record_debug(span: &mut Span, key: &str, value: &(impl Debug + ?Sized)) {
    span.set_attribute(key, format!("{value:?}").as_str());
}

/// Whether no key comes twice.
pub const fn is_distinct(keys: &[&str]) -> bool {
    let mut i = 0;
    while i < keys.len() {
        let mut j = i + 1;
        while j < keys.len() {
            if equal(keys[i].as_bytes(), keys[j].as_bytes()) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
