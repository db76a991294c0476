//! The `baggage` header: pairs that an application sends along with a request.
//!
//! ```text
//!   userId=alice , serverNode = DF%2028;ttl=30;replicated
//!   └key─┘ └val┘   └──key───┘   └value┘ └───metadata────┘
//!   └── member ┘   └──────────── member ────────────────┘
//! ```
//!
//! [`Baggage`] borrows header text and never changes. [`BaggageBuf`] owns the
//! text in a fixed buffer, in which a new baggage is made; it holds no key
//! twice. Members that are malformed are passed over and counted, so that they
//! harm neither the others nor the request.
//!
//! Keys are those that the header can have, tokens of HTTP. The baggage of programs with
//! an allocator, above this crate, takes any text as a name.
//!
//! Rules: [W3C Baggage](https://www.w3.org/TR/baggage/) and
//! [OpenTelemetry, Baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/).

use core::fmt;
use core::ops::Range;

use heapless::{String, Vec};

use super::percent::BAGGAGE_OCTET;
use super::{AsciiSet, Decoded, Encoded, LOWER_ALPHANUMERIC, ascii, trim_ows};

/// The value of one `baggage` header, borrowed; empty by default.
///
/// Any text is accepted: what is malformed in it is passed over.
/// ([baggage-string](https://www.w3.org/TR/baggage/#baggage-string))
#[derive(Clone, Copy, Debug, Default)]
pub struct Baggage<'a>(&'a str);

impl<'a> Baggage<'a> {
    /// Reads this header value.
    pub const fn new(header: &'a str) -> Self {
        Baggage(header)
    }

    /// The well-formed entries in the order of the header.
    ///
    /// A key may come twice in a received header; the later one is valid.
    /// ([list-member](https://www.w3.org/TR/baggage/#baggage-string))
    pub fn entries(&self) -> BaggageEntries<'a> {
        BaggageEntries(self.0.as_bytes())
    }

    /// The entry of this key, the last one where there are several.
    /// ([Conflict resolution](https://opentelemetry.io/docs/specs/otel/baggage/api/#conflict-resolution))
    pub fn entry(&self, key: &str) -> Option<BaggageEntry<'a>> {
        members(self.0.as_bytes())
            .filter(|member| member.starts_with(key.as_bytes()))
            .filter_map(BaggageEntry::parse)
            .filter(|entry| entry.key == key)
            .last()
    }

    /// The value of this key, decoded; letter case matters.
    /// ([Get value](https://opentelemetry.io/docs/specs/otel/baggage/api/#get-value))
    pub fn get(&self, key: &str) -> Option<Decoded<'a>> {
        self.entry(key).map(|entry| entry.value())
    }

    /// Whether there is no well-formed entry.
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// How many members are malformed, and passed over.
    /// ([Mutating baggage](https://www.w3.org/TR/baggage/#mutating-baggage))
    pub fn malformed(&self) -> usize {
        members(self.0.as_bytes()).filter(|member| BaggageEntry::parse(member).is_none()).count()
    }

    /// The text it was made from.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// One entry of a baggage.
///
/// ([list-member](https://www.w3.org/TR/baggage/#definition))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaggageEntry<'a> {
    key: &'a str,
    value: &'a str,
    metadata: &'a str,
}

impl<'a> BaggageEntry<'a> {
    /// The key, a token of HTTP. It is not encoded.
    /// ([key](https://www.w3.org/TR/baggage/#key))
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// The value.
    /// ([value](https://www.w3.org/TR/baggage/#value))
    pub const fn value(&self) -> Decoded<'a> {
        Decoded::new(self.value)
    }

    /// The value as it is encoded in the header.
    /// ([value](https://www.w3.org/TR/baggage/#value))
    pub const fn raw_value(&self) -> &'a str {
        self.value
    }

    /// The properties as one opaque text, such as `ttl=30;replicated`; empty
    /// where there are none. It is not decoded.
    /// ([property](https://www.w3.org/TR/baggage/#property))
    pub const fn metadata(&self) -> &'a str {
        self.metadata
    }

    /// Reads one member, the white space within its grammar left out.
    fn parse(member: &'a [u8]) -> Option<Self> {
        let equals = member.iter().position(|byte| *byte == b'=')?;
        let (key, value) = member.split_at_checked(equals)?;
        let value = value.get(1..)?;
        let semicolon = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (value, metadata) = value.split_at_checked(semicolon)?;
        let (key, value) = (trim_ows(key), trim_ows(value));
        let metadata = trim_metadata(metadata);
        let valid = !key.is_empty()
            && TOKEN.contains_all(key)
            && BAGGAGE_OCTET.contains_all(value)
            && METADATA.contains_all(metadata);
        valid.then(|| BaggageEntry {
            key: ascii(key),
            value: ascii(value),
            metadata: ascii(metadata),
        })
    }

    /// The bytes of the member, without a comma.
    fn len(&self) -> usize {
        member_len(self.key, self.value.len(), self.metadata)
    }
}

/// The well-formed entries of a [`Baggage`], in the order of the header.
///
/// ([baggage-string](https://www.w3.org/TR/baggage/#baggage-string))
#[derive(Clone, Debug)]
pub struct BaggageEntries<'a>(&'a [u8]);

impl<'a> Iterator for BaggageEntries<'a> {
    type Item = BaggageEntry<'a>;

    fn next(&mut self) -> Option<BaggageEntry<'a>> {
        while !self.0.is_empty() {
            let end = self.0.iter().position(|byte| *byte == b',').unwrap_or(self.0.len());
            let (member, rest) = self.0.split_at_checked(end).unwrap_or_default();
            self.0 = rest.get(1..).unwrap_or_default();
            if let Some(entry) = BaggageEntry::parse(member) {
                return Some(entry);
            }
        }
        None
    }
}

/// A baggage that owns its text, in at most `N` bytes and 64 members; empty by
/// default.
///
/// No key is in it twice, and its text is ready to send. 64 members and 8192
/// bytes are what [limits](https://www.w3.org/TR/baggage/#limits) asks a
/// platform to hand on at least; a smaller `N` is for devices that cannot.
#[derive(Clone, PartialEq, Eq)]
pub struct BaggageBuf<const N: usize = 8192>(String<N>);

impl<const N: usize> BaggageBuf<N> {
    /// The baggage without an entry.
    pub const fn new() -> Self {
        BaggageBuf(String::new())
    }

    /// Joins the values of all `baggage` headers of a message, in order.
    ///
    /// A later member takes the place of an earlier one with the same key.
    /// Malformed members are left out; so are, as a whole, members beyond the
    /// 64th, and those that do not fit into what is left of `N` bytes. White
    /// space goes; values and metadata stay encoded as they are.
    /// ([Header content](https://www.w3.org/TR/baggage/#header-content),
    /// [limits](https://www.w3.org/TR/baggage/#limits))
    pub fn from_headers<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> (Self, BaggageReport) {
        let mut report = BaggageReport::default();
        // Which member is the last of its key is known only at the end.
        let mut entries = Vec::<BaggageEntry<'a>, MAX_MEMBERS>::new();
        for member in headers.into_iter().flat_map(members) {
            let Some(entry) = BaggageEntry::parse(member) else {
                report.malformed += 1;
                continue;
            };
            if let Some(earlier) = entries.iter_mut().find(|earlier| earlier.key == entry.key) {
                *earlier = entry;
            } else if entries.push(entry).is_err() {
                report.dropped += 1;
            }
        }
        let mut baggage = BaggageBuf::new();
        for entry in &entries {
            if joined_len(baggage.0.len(), entry.len()) <= N {
                baggage.push(entry.key, entry.value, entry.metadata);
            } else {
                report.dropped += 1;
            }
        }
        (baggage, report)
    }

    /// Sets the value of this key, of any text, and its metadata, which may be
    /// empty. An entry of the same key is replaced.
    ///
    /// The value is encoded as it needs to be. The metadata is written as it
    /// is, without white space and semicolons around it.
    /// ([Set value](https://opentelemetry.io/docs/specs/otel/baggage/api/#set-value),
    /// [Mutating baggage](https://www.w3.org/TR/baggage/#mutating-baggage))
    ///
    /// # Errors
    ///
    /// Any [`BaggageError`]; the baggage is then as it was.
    pub fn insert(&mut self, key: &str, value: &str, metadata: &str) -> Result<(), BaggageError> {
        if key.is_empty() || !TOKEN.contains_all(key.as_bytes()) {
            return Err(BaggageError::InvalidKey);
        }
        let metadata = trim_metadata(metadata.as_bytes());
        if !METADATA.contains_all(metadata) {
            return Err(BaggageError::InvalidMetadata);
        }
        let (value, metadata) = (Encoded::new(value), ascii(metadata));
        let replaced = self.find(key).unwrap_or(0..0);
        if replaced.is_empty() && self.len() >= MAX_MEMBERS {
            return Err(BaggageError::TooManyMembers);
        }
        let others = self.0.len() - replaced.len();
        if joined_len(others, member_len(key, value.len(), metadata)) > N {
            return Err(BaggageError::TooLong);
        }
        self.remove_range(replaced);
        self.push(key, value, metadata);
        Ok(())
    }

    /// Removes the entry of this key; whether there was one.
    /// ([Remove value](https://opentelemetry.io/docs/specs/otel/baggage/api/#remove-value))
    pub fn remove(&mut self, key: &str) -> bool {
        let found = self.find(key);
        let removed = found.is_some();
        self.remove_range(found.unwrap_or(0..0));
        removed
    }

    /// Removes every entry, before a call to a service that is not trusted.
    /// ([Clear baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context))
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The same baggage, borrowed.
    pub fn as_baggage(&self) -> Baggage<'_> {
        Baggage(&self.0)
    }

    /// The header text, ready to send.
    /// ([baggage-string](https://www.w3.org/TR/baggage/#baggage-string))
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        members(self.0.as_bytes()).count()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As [`Baggage::get`].
    pub fn get(&self, key: &str) -> Option<Decoded<'_>> {
        self.as_baggage().get(key)
    }

    /// As [`Baggage::entries`]; the order means nothing.
    pub fn entries(&self) -> BaggageEntries<'_> {
        self.as_baggage().entries()
    }

    /// Where the member of this key is, with one comma where there are others.
    fn find(&self, key: &str) -> Option<Range<usize>> {
        let mut start = 0;
        for member in self.0.split(',') {
            let end = start + member.len();
            if member.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')) {
                // The comma before it, or of the first one the comma after it.
                let after = if start == 0 { (end + 1).min(self.0.len()) } else { end };
                return Some(start.saturating_sub(1)..after);
            }
            start = end + 1;
        }
        None
    }

    /// Removes text between two characters; all of it is ASCII.
    fn remove_range(&mut self, range: Range<usize>) {
        drop(self.0.drain(range));
    }

    /// Adds a member that is valid, new, and has room.
    fn push(&mut self, key: &str, value: impl fmt::Display, metadata: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        let semicolon = if metadata.is_empty() { "" } else { ";" };
        // The caller has measured it with `joined_len`.
        let _ = fmt::Write::write_fmt(
            &mut self.0,
            format_args!("{comma}{key}={value}{semicolon}{metadata}"),
        );
    }
}

impl<const N: usize> Default for BaggageBuf<N> {
    fn default() -> Self {
        BaggageBuf::new()
    }
}

impl<const N: usize> AsRef<str> for BaggageBuf<N> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Display for BaggageBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const N: usize> fmt::Debug for BaggageBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BaggageBuf").field(&self.as_str()).finish()
    }
}

/// What of received baggage was left out.
/// ([Limits](https://www.w3.org/TR/baggage/#limits))
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BaggageReport {
    /// How many members were not well-formed.
    pub malformed: usize,
    /// How many well-formed members went beyond the limits. A member that gave
    /// way to a later one of the same key is not among them.
    pub dropped: usize,
}

/// Why an entry is refused.
/// ([Definition](https://www.w3.org/TR/baggage/#definition))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaggageError {
    /// The key is empty or has a character that a token of HTTP may not have.
    InvalidKey,
    /// The metadata has a comma, `"`, `\`, a control, or what is not ASCII.
    InvalidMetadata,
    /// There are 64 entries already.
    TooManyMembers,
    /// The entry does not fit into what is left of the buffer.
    TooLong,
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidKey => "baggage key is not a token",
            Self::InvalidMetadata => "baggage metadata is not valid",
            Self::TooManyMembers => "baggage has 64 members already",
            Self::TooLong => "baggage entry is longer than the room left",
        })
    }
}

impl core::error::Error for BaggageError {}

/// The members of a header, those without a character left out: lists of HTTP
/// may hold them, and they are nobody's mistake.
/// ([RFC 9110, section 5.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1))
fn members(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}

fn member_len(key: &str, value_len: usize, metadata: &str) -> usize {
    let semicolon = usize::from(!metadata.is_empty());
    key.len() + 1 + value_len + semicolon + metadata.len()
}

/// The length of a list of this length to which a member of that is added.
fn joined_len(list: usize, member: usize) -> usize {
    list + usize::from(list > 0) + member
}

/// Without white space and empty properties at both ends.
fn trim_metadata(mut metadata: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b';', rest @ ..] = metadata {
        metadata = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b';'] = metadata {
        metadata = rest;
    }
    metadata
}

/// [Limits](https://www.w3.org/TR/baggage/#limits)
const MAX_MEMBERS: usize = 64;

/// [RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)
const TOKEN: AsciiSet =
    AsciiSet::of(LOWER_ALPHANUMERIC).and(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ").and(b"!#$%&'*+-.^_`|~");

/// Properties are opaque, but must not end the member that they belong to.
const METADATA: AsciiSet = BAGGAGE_OCTET.and(b"; \t");

#[cfg(test)]
mod tests;
