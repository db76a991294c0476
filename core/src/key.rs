//! Texts that are known at compile time, encoded at compile time.

use core::fmt;

#[cfg(not(target_os = "none"))]
use crate::value::ENTRY_KEY;
use crate::wire;

/// The key of an attribute, ready to be copied into a span.
///
/// ```
/// use throughline_core::Key;
///
/// static ROUTE: Key = Key::new("http.route");
/// assert_eq!(ROUTE.as_str(), "http.route");
/// ```
#[derive(Clone, Copy)]
pub struct Key {
    name: &'static str,
    /// Not on bare targets, where one way of adding is enough.
    #[cfg(not(target_os = "none"))]
    pub(crate) field: Prepared,
}

impl Key {
    /// The key of this name.
    pub const fn new(name: &'static str) -> Self {
        Key {
            name,
            #[cfg(not(target_os = "none"))]
            field: Prepared::new(ENTRY_KEY, name),
        }
    }

    /// The name.
    pub const fn as_str(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// A text field of a message: its tag, its length, the text; and room behind
/// it, since to copy a fixed number of bytes takes two moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    bytes: [u8; PREPARED],
    len: usize,
}

impl Prepared {
    /// The field, or [nothing](Self::is_empty) if the text is empty or longer
    /// than what is prepared.
    pub(crate) const fn new(tag: u8, text: &str) -> Self {
        let (mut bytes, text) = ([0; PREPARED], text.as_bytes());
        if text.is_empty() || text.len() > PREPARED - 2 {
            return Prepared { bytes, len: 0 };
        }
        bytes[0] = tag;
        bytes[1] = text.len() as u8;
        let mut i = 0;
        while i < text.len() {
            bytes[i + 2] = text[i];
            i += 1;
        }
        Prepared { bytes, len: text.len() + 2 }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The length of the field.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The field, and room behind it.
    #[inline]
    pub(crate) const fn padded(&self) -> &[u8; PREPARED] {
        &self.bytes
    }
}

/// Nearly all names and keys have at most two bytes less.
pub(crate) const PREPARED: usize = 32;

const _: () = assert!(PREPARED - 2 < wire::ONE_BYTE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_prepared_if_it_fits() {
        let key = Key::new("http.route");
        assert_eq!(key.field.len(), 12);
        assert_eq!(&key.field.padded()[..12], b"\x0a\x0ahttp.route");
        assert!(Key::new("").field.is_empty());
        assert!(!Key::new("123456789012345678901234567890").field.is_empty());
        assert!(Key::new("1234567890123456789012345678901").field.is_empty());
    }
}
