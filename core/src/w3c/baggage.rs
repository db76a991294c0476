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
mod tests {
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn join(headers: &[&str]) -> (BaggageBuf, BaggageReport) {
        BaggageBuf::from_headers(headers.iter().map(|header| header.as_bytes()))
    }

    fn entries<'a>(baggage: &Baggage<'a>) -> Vec<(&'a str, String, &'a str)> {
        let entry =
            |entry: BaggageEntry<'a>| (entry.key(), entry.value().to_string(), entry.metadata());
        baggage.entries().map(entry).collect()
    }

    fn report(malformed: usize, dropped: usize) -> BaggageReport {
        BaggageReport { malformed, dropped }
    }

    #[test]
    fn the_example_of_the_definition_has_three_members() {
        let header = "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue";
        assert_eq!(header.len(), 86);
        let expected = [
            ("key1", "value1".to_string(), "property1;property2"),
            ("key2", "value2".to_string(), ""),
            ("key3", "value3".to_string(), "propertyKey=propertyValue"),
        ];
        assert_eq!(entries(&Baggage::new(header)), expected);
        let (baggage, skipped) = join(&[header]);
        assert_eq!(entries(&baggage.as_baggage()), expected);
        assert_eq!(skipped, report(0, 0));
    }

    #[test]
    fn the_example_of_three_entries_is_alike_in_all_its_forms() {
        for headers in [
            &["userId=alice,serverNode=DF%2028,isProduction=false"][..],
            &["userId=alice", "serverNode=DF%2028,isProduction=false"],
            &["userId =   alice", "serverNode = DF%2028, isProduction = false"],
        ] {
            let (baggage, skipped) = join(headers);
            assert_eq!(baggage.as_str(), "userId=alice,serverNode=DF%2028,isProduction=false");
            assert_eq!(baggage.get("userId").unwrap(), "alice");
            assert_eq!(baggage.get("serverNode").unwrap(), "DF 28");
            assert_eq!(baggage.get("isProduction").unwrap(), "false");
            assert_eq!((baggage.len(), skipped), (3, report(0, 0)));
        }
    }

    #[test]
    fn white_space_within_the_grammar_is_ignored() {
        let header = "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t = \t PropVal";
        let expected = [
            ("SomeKey", "SomeValue".to_string(), "SomeProp"),
            ("SomeKey2", "SomeValue2".to_string(), "ValueProp \t = \t PropVal"),
        ];
        assert_eq!(entries(&Baggage::new(header)), expected);
    }

    #[test]
    fn only_the_first_equals_sign_ends_the_key() {
        let baggage = Baggage::new("SomeKey=SomeValue=equals,b==,c=1;p=2=3");
        assert_eq!(baggage.get("SomeKey").unwrap(), "SomeValue=equals");
        assert_eq!(baggage.get("b").unwrap(), "=");
        assert_eq!(baggage.entry("c").unwrap().metadata(), "p=2=3");
    }

    #[test]
    fn values_are_decoded_and_keys_are_not() {
        let baggage = Baggage::new("a%20b=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29");
        let entry = baggage.entry("a%20b").unwrap();
        assert_eq!(entry.value(), "\t \"';=asdf!@#$%^&*()");
        assert!(entry.raw_value().starts_with("%09%20"));
        assert!(baggage.get("a b").is_none());
    }

    #[test]
    fn a_value_that_is_not_utf_8_keeps_its_entry() {
        let (baggage, skipped) = join(&["a=%FF%C3%A4,b=2"]);
        assert_eq!(baggage.get("a").unwrap(), "\u{fffd}\u{e4}");
        assert_eq!(baggage.as_str(), "a=%FF%C3%A4,b=2");
        assert_eq!(skipped, report(0, 0));
    }

    #[test]
    fn malformed_members_are_skipped_and_counted() {
        let header = "a=1,nothing,=2,b c=3,d=4 5,e=\"6\",f=\\,g=\u{e4},h=7;\"p\",(i)=8,;p,j=9";
        let baggage = Baggage::new(header);
        let expected = [("a", "1".to_string(), ""), ("j", "9".to_string(), "")];
        assert_eq!(entries(&baggage), expected);
        assert_eq!(baggage.malformed(), 10);
        assert!(baggage.get("d").is_none());
        let (joined, skipped) = join(&[header]);
        assert_eq!((joined.as_str(), skipped), ("a=1,j=9", report(10, 0)));
    }

    #[test]
    fn empty_headers_members_and_values_are_no_mistake() {
        assert_eq!(join(&[]).0, BaggageBuf::new());
        let (baggage, skipped) = join(&["", " ,\t,a=,, b = ;p", ""]);
        assert_eq!((baggage.as_str(), skipped), ("a=,b=;p", report(0, 0)));
        assert_eq!(baggage.get("a").unwrap(), "");
        assert!(Baggage::new(" , ").is_empty() && BaggageBuf::<8>::new().is_empty());
        assert_eq!(join(&["a=1;, b=2 ; ;p; "]).0.as_str(), "a=1,b=2;p");
    }

    #[test]
    fn the_later_of_two_members_of_one_key_wins() {
        let (baggage, skipped) = join(&["a=1;p,b=2", "a=3"]);
        assert_eq!((baggage.as_str(), skipped), ("a=3,b=2", report(0, 0)));
        assert_eq!(Baggage::new("a=1,b=2,a=3").get("a").unwrap(), "3");
        assert_eq!(Baggage::new("a=1,a=\\").get("a").unwrap(), "1");
    }

    #[test]
    fn keys_differ_by_letter_case() {
        let (baggage, _) = join(&["a=1,A=2,ab=3"]);
        assert_eq!(baggage.len(), 3);
        assert_eq!(baggage.get("A").unwrap(), "2");
        assert!(baggage.get("aB").is_none() && baggage.get("").is_none());
    }

    #[test]
    fn up_to_64_members_survive_and_the_rest_is_counted() {
        let members: Vec<_> = (0..70).map(|i| format!("key{i}=value")).collect();
        let (baggage, skipped) = join(&[&members[..64].join(",")]);
        assert_eq!((baggage.len(), skipped), (64, report(0, 0)));
        let (baggage, skipped) = join(&[&members.join(","), "key0=new"]);
        assert_eq!((baggage.len(), skipped), (64, report(0, 6)));
        assert_eq!(baggage.get("key0").unwrap(), "new");
        assert!(baggage.get("key64").is_none());
    }

    #[test]
    fn up_to_8192_bytes_survive_and_members_are_never_cut() {
        let full = format!("a={}", "0123456789".repeat(819));
        assert_eq!(full.len(), 8192);
        let (baggage, skipped) = join(&[&full]);
        assert_eq!((baggage.as_str(), skipped), (full.as_str(), report(0, 0)));
        let (baggage, skipped) = join(&[&format!("{full}b,c=1")]);
        assert_eq!((baggage.as_str(), skipped), ("c=1", report(0, 1)));
        let (baggage, skipped) = BaggageBuf::<12>::from_headers([&b"abc=1,de=22,f=333,g=4"[..]]);
        assert_eq!((baggage.as_str(), skipped), ("abc=1,de=22", report(0, 2)));
    }

    #[test]
    fn an_old_value_does_not_come_back_when_the_new_one_is_too_long() {
        let (baggage, skipped) = BaggageBuf::<8>::from_headers([&b"a=1,b=2,a=3456789"[..]]);
        assert_eq!((baggage.as_str(), skipped), ("b=2", report(0, 1)));
    }

    #[test]
    fn any_text_is_a_value_and_comes_back_unchanged() {
        let mut baggage: BaggageBuf = BaggageBuf::new();
        baggage.insert("serverNode", "DF 28", "").unwrap();
        baggage.insert("n", "\u{e4},;\\\"%\0=", " ;ttl=30; x;").unwrap();
        assert_eq!(baggage.as_str(), "serverNode=DF%2028,n=%C3%A4%2C%3B%5C%22%25%00=;ttl=30; x");
        assert_eq!(baggage.get("n").unwrap(), "\u{e4},;\\\"%\0=");
        assert_eq!(baggage.entries().last().unwrap().metadata(), "ttl=30; x");
    }

    #[test]
    fn inserting_replaces_and_removing_closes_the_gap() {
        let mut baggage = join(&["a=1,b=2;p,c=3"]).0;
        baggage.insert("b", "4", "").unwrap();
        assert_eq!(baggage.as_str(), "a=1,c=3,b=4");
        assert!(baggage.remove("c") && !baggage.remove("c"));
        assert_eq!(baggage.as_str(), "a=1,b=4");
        assert!(baggage.remove("a") && baggage.remove("b"));
        assert_eq!(baggage.as_str(), "");
        baggage.insert("d", "5", "").unwrap();
        assert_eq!(baggage.as_str(), "d=5");
    }

    #[test]
    fn only_a_whole_key_is_replaced_or_removed() {
        let mut baggage = join(&["ab=1;a=2,a=3,b=a=4"]).0;
        assert!(baggage.remove("a") && !baggage.remove("a") && !baggage.remove(""));
        assert_eq!(baggage.as_str(), "ab=1;a=2,b=a=4");
        assert!(!baggage.remove("ab=1") && !baggage.remove("2,b"));
    }

    #[test]
    fn clearing_leaves_nothing_for_an_untrusted_service() {
        let mut baggage = join(&["a=1,b=2"]).0;
        let kept = baggage.clone();
        baggage.clear();
        assert!(baggage.is_empty() && baggage.get("a").is_none());
        assert_eq!(kept.as_str(), "a=1,b=2");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut baggage = BaggageBuf::<11>::from_headers([&b"a=1,b=2"[..]]).0;
        for key in ["", "a b", "\u{e4}", "a,b", "a=b", "(a)"] {
            assert_eq!(baggage.insert(key, "1", ""), Err(BaggageError::InvalidKey), "{key:?}");
        }
        for metadata in ["a,b", "\u{e4}", "\n", "\""] {
            assert_eq!(baggage.insert("a", "1", metadata), Err(BaggageError::InvalidMetadata));
        }
        assert_eq!(baggage.insert("c", "33", ""), Err(BaggageError::TooLong));
        assert_eq!(baggage.insert("b", "\u{e4}", ""), Err(BaggageError::TooLong));
        assert_eq!(baggage.as_str(), "a=1,b=2");
        baggage.insert("b", "123456", "").unwrap_err();
        baggage.insert("b", "12345", "").unwrap();
        assert_eq!(baggage.as_str(), "a=1,b=12345");
        assert!(baggage.remove("a"));
        baggage.insert("b", "123456789", "").unwrap();
        assert_eq!(baggage.as_str(), "b=123456789");
    }

    #[test]
    fn the_65th_member_is_refused_but_replacing_is_not() {
        let mut baggage: BaggageBuf = BaggageBuf::new();
        for i in 0..64 {
            baggage.insert(&format!("k{i}"), "1", "").unwrap();
        }
        assert_eq!(baggage.insert("k64", "1", ""), Err(BaggageError::TooManyMembers));
        baggage.insert("k0", "2", "").unwrap();
        assert_eq!(baggage.len(), 64);
    }

    #[test]
    fn errors_say_what_is_wrong_in_lower_case() {
        let error: &dyn core::error::Error = &BaggageError::InvalidKey;
        assert_eq!(error.to_string(), "baggage key is not a token");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_yield_what_reads_back_alike(
            headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
        ) {
            let (baggage, _) = BaggageBuf::<64>::from_headers(headers.iter().map(Vec::as_slice));
            let again = BaggageBuf::<64>::from_headers([baggage.as_str().as_bytes()]);
            prop_assert_eq!(again, (baggage, BaggageReport::default()));
        }

        #[test]
        fn arbitrary_text_never_panics_and_every_member_is_accounted_for(
            header in "[ab=,; %\\\\0\u{e4}]{0,80}", key in "[ab=,]{0,2}",
        ) {
            let borrowed = Baggage::new(&header);
            let found = borrowed.entries().count() + borrowed.malformed();
            prop_assert_eq!(found, members(header.as_bytes()).count());
            let (mut baggage, skipped) = BaggageBuf::<16>::from_headers([header.as_bytes()]);
            prop_assert_eq!(skipped.malformed, borrowed.malformed());
            let _ = baggage.insert(&key, &header, &header);
            baggage.remove(&key);
            prop_assert!(baggage.get(&key).is_none());
        }

        #[test]
        fn whatever_is_inserted_is_read_back(
            pairs in prop::collection::vec(("[a-c!#~]{1,2}", any::<String>(), "[a-z=]{0,4}"), 1..8),
        ) {
            let mut baggage: BaggageBuf = BaggageBuf::new();
            for (key, value, metadata) in &pairs {
                baggage.insert(key, value, metadata).unwrap();
            }
            let (read, skipped) = BaggageBuf::<8192>::from_headers([baggage.as_str().as_bytes()]);
            prop_assert_eq!(skipped, BaggageReport::default());
            for (key, ..) in &pairs {
                let (_, value, metadata) = pairs.iter().rfind(|pair| pair.0 == *key).unwrap();
                let entry = read.as_baggage().entry(key).unwrap();
                prop_assert_eq!(entry.value(), value.as_str());
                prop_assert_eq!(entry.metadata(), metadata.as_str());
            }
        }
    }
}
