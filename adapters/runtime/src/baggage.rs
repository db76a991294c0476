//! The baggage of a context: pairs that a program hands on to all that it calls.
//!
//! ```text
//!   insert("tenant", "blue", "")      insert("größe", "7", "")
//!          │ a token of HTTP                 │ any other name
//!          ▼                                 ▼
//!   sent:  tenant=blue                local: größe, 7
//!          │                                 │
//!   the next process                  the rest of this one
//! ```

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use throughline_core::w3c::{self, BaggageBuf, Decoded};

use crate::Context;

/// Pairs of names and values that travel with a context, in this process and into the
/// next ones; empty by default.
///
/// A name is **any text but the empty one**. One that is no token of HTTP cannot stand in
/// the header `baggage`: it stays in this process, where all contexts below have it, and
/// propagators leave it out. Values are any text. A name has one value, and letter case
/// counts. The baggage of a context never changes: what is changed is a copy, for
/// contexts to come.
///
/// It needs no pipeline.
/// ([Baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/))
///
/// ```
/// use throughline_runtime::{Baggage, Context};
///
/// let mut baggage = Baggage::current();
/// baggage.insert("tenant", "blue & green", "")?;
/// baggage.insert("größe", "7", "")?;
/// baggage.into_context(Context::current()).scope(|| {
///     assert_eq!(Baggage::current().get("größe").as_deref(), Some("7"));
///     assert_eq!(Baggage::current().as_header(), "tenant=blue%20&%20green");
/// });
/// # Ok::<(), throughline_runtime::BaggageError>(())
/// ```
#[derive(Clone, Default)]
pub struct Baggage {
    /// The text of the header.
    sent: Option<Arc<str>>,
    /// What stays here, never an empty list.
    local: Option<Arc<Vec<Local>>>,
}

/// An entry whose name no header can have.
#[derive(Clone, Debug)]
struct Local {
    name: Box<str>,
    value: Box<str>,
    metadata: Box<str>,
}

impl Baggage {
    /// That of the current context.
    pub fn current() -> Self {
        Self::of(&Context::current())
    }

    /// That of this context.
    /// ([Context interaction](https://opentelemetry.io/docs/specs/otel/baggage/api/#context-interaction))
    pub fn of(context: &Context) -> Self {
        context.carried().whole_baggage().cloned().unwrap_or_default()
    }

    /// The context with this baggage in place of its own. An empty one clears it, before
    /// a call to a service that is not trusted.
    /// ([Clear baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context))
    #[must_use]
    pub fn into_context(self, context: Context) -> Context {
        let carried = context.carried().with_baggage(self);
        context.with_carried(carried)
    }

    /// The value of this name.
    /// ([Get value](https://opentelemetry.io/docs/specs/otel/baggage/api/#get-value))
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let local = self.local().iter().find(|entry| &*entry.name == name);
        let local = local.map(|entry| Cow::Borrowed(&*entry.value));
        local.or_else(|| self.as_w3c().get(name).map(decoded))
    }

    /// Name, value and metadata of each entry; the order means nothing.
    /// ([Get all values](https://opentelemetry.io/docs/specs/otel/baggage/api/#get-all-values))
    pub fn entries(&self) -> impl Iterator<Item = (&str, Cow<'_, str>, &str)> {
        let sent = self.as_w3c().entries();
        let sent = sent.map(|entry| (entry.key(), decoded(entry.value()), entry.metadata()));
        let local = self.local().iter();
        sent.chain(local.map(|entry| (&*entry.name, (&*entry.value).into(), &*entry.metadata)))
    }

    /// Sets the value of this name, in place of the one that it has. The metadata is
    /// opaque, and may be empty; `ttl=30;secret` for example.
    /// ([Set value](https://opentelemetry.io/docs/specs/otel/baggage/api/#set-value))
    ///
    /// # Errors
    ///
    /// Any [`BaggageError`]; the baggage is then as it was.
    pub fn insert(&mut self, name: &str, value: &str, metadata: &str) -> Result<(), BaggageError> {
        self.edit(|sent, local| set(sent, local, name, value, metadata))
    }

    /// Sets all of these, as name, value and metadata. Returns how many were refused, as
    /// [`insert`](Self::insert) would; one whose metadata cannot be sent is kept without it.
    ///
    /// It costs less than setting them one by one.
    pub fn extend<'a>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> usize {
        self.edit(|sent, local| {
            let mut refused = 0;
            for (name, value, metadata) in entries {
                let set = match set(sent, local, name, value, metadata) {
                    Err(BaggageError::InvalidMetadata) => set(sent, local, name, value, ""),
                    set => set,
                };
                refused += usize::from(set.is_err());
            }
            refused
        })
    }

    /// Removes the entry of this name; whether there was one.
    /// ([Remove value](https://opentelemetry.io/docs/specs/otel/baggage/api/#remove-value))
    pub fn remove(&mut self, name: &str) -> bool {
        self.edit(|sent, local| {
            let before = local.len();
            local.retain(|entry| &*entry.name != name);
            sent.remove(name) || local.len() < before
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.as_w3c().entries().count() + self.local_len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.sent.is_none() && self.local.is_none()
    }

    /// How many entries stay in this process, as their names are no tokens.
    pub fn local_len(&self) -> usize {
        self.local().len()
    }

    /// What the next process gets: the value of the header `baggage`, without entries
    /// whose names are no tokens.
    /// ([key](https://www.w3.org/TR/baggage/#key))
    pub fn as_header(&self) -> &str {
        self.sent.as_deref().unwrap_or_default()
    }

    pub(crate) fn as_w3c(&self) -> w3c::Baggage<'_> {
        w3c::Baggage::new(self.as_header())
    }

    fn local(&self) -> &[Local] {
        self.local.as_ref().map_or(&[], |local| local.as_slice())
    }

    /// Apart, as the buffer takes 12 KiB of stack.
    #[inline(never)]
    fn edit<R>(&mut self, edit: impl FnOnce(&mut BaggageBuf, &mut Vec<Local>) -> R) -> R {
        let (mut sent, _) = BaggageBuf::from_headers([self.as_header().as_bytes()]);
        let mut local = self.local().to_vec();
        let result = edit(&mut sent, &mut local);
        *self = Baggage::from(&sent);
        self.local = (!local.is_empty()).then(|| Arc::new(local));
        result
    }
}

/// Received baggage, all of which can be sent on.
impl From<&BaggageBuf> for Baggage {
    fn from(sent: &BaggageBuf) -> Self {
        let sent = (!sent.is_empty()).then(|| sent.as_str().into());
        Baggage { sent, local: None }
    }
}

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries().map(|(name, value, _)| (name, value))).finish()
    }
}

/// Why an entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaggageError {
    /// The name is empty.
    EmptyName,
    /// The name can be sent and the metadata cannot: it has a comma, `"`, `\`, a control,
    /// or what is not ASCII.
    InvalidMetadata,
    /// There are 64 entries already.
    TooManyEntries,
    /// Together they would be more than 8,192 bytes, encoded as they are sent.
    TooLong,
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyName => "baggage name is empty",
            Self::InvalidMetadata => "baggage metadata cannot stand in a header",
            Self::TooManyEntries => "baggage has 64 entries already",
            Self::TooLong => "baggage would be longer than 8192 bytes",
        })
    }
}

impl core::error::Error for BaggageError {}

fn set(
    sent: &mut BaggageBuf,
    local: &mut Vec<Local>,
    name: &str,
    value: &str,
    metadata: &str,
) -> Result<(), BaggageError> {
    if name.is_empty() {
        return Err(BaggageError::EmptyName);
    }
    let before = sent.clone();
    match sent.insert(name, value, metadata) {
        Ok(()) => within_limits(sent, local).inspect_err(|_| *sent = before),
        Err(w3c::BaggageError::InvalidKey) => {
            let new = Local { name: name.into(), value: value.into(), metadata: metadata.into() };
            let former = local.iter().position(|entry| entry.name == new.name);
            let former = former.map(|at| local.swap_remove(at));
            local.push(new);
            within_limits(sent, local).inspect_err(|_| {
                local.pop();
                local.extend(former);
            })
        }
        Err(w3c::BaggageError::InvalidMetadata) => Err(BaggageError::InvalidMetadata),
        Err(w3c::BaggageError::TooManyMembers) => Err(BaggageError::TooManyEntries),
        Err(_) => Err(BaggageError::TooLong),
    }
}

/// Whether what is sent and what is not keep within the limits together.
fn within_limits(sent: &BaggageBuf, local: &[Local]) -> Result<(), BaggageError> {
    let len = |entry: &Local| {
        let value = w3c::Encoded::new(&entry.value).len();
        entry.name.len() + "=,;".len() + value + entry.metadata.len()
    };
    if sent.len() + local.len() > MAX_ENTRIES {
        return Err(BaggageError::TooManyEntries);
    }
    let bytes = sent.as_str().len() + local.iter().map(len).sum::<usize>();
    if bytes > MAX_BYTES { Err(BaggageError::TooLong) } else { Ok(()) }
}

fn decoded(value: Decoded<'_>) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed)
}

/// What may be sent, for all: a context is copied into whatever it spawns.
/// ([Limits](https://www.w3.org/TR/baggage/#limits))
const MAX_ENTRIES: usize = 64;
const MAX_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use throughline_core::Carry;

    use super::*;

    fn with(entries: &[(&str, &str, &str)]) -> Baggage {
        let mut baggage = Baggage::default();
        assert_eq!(baggage.extend(entries.iter().copied()), 0);
        baggage
    }

    /// BAG-3 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)).
    #[test]
    fn any_text_but_the_empty_one_is_a_name_of_baggage() {
        for name in ["größe", "a b", "a,b;c=d", "\0", "(a)", "\"", "🦀", "a\u{301}", " "] {
            let mut baggage = with(&[("token", "1", ""), (name, "väl,ue", "ï;,")]);
            assert_eq!(baggage.get(name).as_deref(), Some("väl,ue"), "{name:?}");
            assert!(baggage.entries().any(|entry| entry == (name, "väl,ue".into(), "ï;,")));
            assert_eq!((baggage.len(), baggage.local_len()), (2, 1));
            assert_eq!(baggage.as_header(), "token=1", "names that are no tokens are not sent");
            baggage.insert(name, "2", "").expect("room");
            assert_eq!((baggage.get(name).as_deref(), baggage.len()), (Some("2"), 2));
            assert!(baggage.remove(name) && !baggage.remove(name));
            assert_eq!((baggage.get(name), baggage.len()), (None, 1));
        }
        let refused = Baggage::default().insert("", "1", "");
        assert_eq!(refused, Err(BaggageError::EmptyName));
    }

    /// BAG-2 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)),
    /// BAG-6 ([Clear baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context)).
    #[test]
    fn names_of_any_text_go_down_with_the_context_and_are_cleared_with_it() {
        let context = with(&[("größe", "7", ""), ("a", "1", "p")]).into_context(Context::empty());
        context.scope(|| {
            let mut changed = Baggage::current();
            assert!(changed.remove("größe"));
            assert_eq!(Baggage::current().get("größe").as_deref(), Some("7"));
            Context::current().detached().scope(|| {
                assert_eq!(Baggage::current().len(), 2);
            });
            let cleared = Baggage::default().into_context(Context::current());
            assert!(cleared.carried().is_empty() && Baggage::of(&cleared).is_empty());
        });
        let names = with(&[("é", "1", "")]).into_context(Context::empty());
        assert!(!names.carried().is_empty() && names.carried().baggage().is_empty());
    }

    #[test]
    fn what_is_refused_changes_nothing_and_limits_count_all_entries() {
        let mut baggage = with(&[("ä", "1", "")]);
        let long = "v".repeat(8192 - "ä=1,;".len() - "b=".len() + 1);
        assert_eq!(baggage.insert("b", &long, ""), Err(BaggageError::TooLong));
        assert_eq!(baggage.insert("ä", &"v".repeat(8192), ""), Err(BaggageError::TooLong));
        assert_eq!(baggage.insert("b", "1", "\""), Err(BaggageError::InvalidMetadata));
        assert_eq!((baggage.get("ä").as_deref(), baggage.len()), (Some("1"), 1));
        for i in 0..63 {
            baggage.insert(&format!("k{i}"), "1", "").expect("room");
        }
        assert_eq!(baggage.insert("ö", "1", ""), Err(BaggageError::TooManyEntries));
        assert_eq!(baggage.insert("k63", "1", ""), Err(BaggageError::TooManyEntries));
        baggage.insert("ä", "2", "").expect("it is replaced");
        assert_eq!(baggage.extend([("b", "1", "\""), ("ä", "3", ""), ("k1", "4", "\"")]), 1);
        assert_eq!((baggage.get("k1").as_deref(), baggage.len()), (Some("4"), 64));
    }
}
