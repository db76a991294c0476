//! The two forms of protobuf fields that a resource is made of.
//!
//! ([Encoding](https://protobuf.dev/programming-guides/encoding/))

/// Appends a field of bytes, text or a message. Its number is below 16.
pub(crate) fn bytes(to: &mut Vec<u8>, field: u8, content: &[u8]) {
    to.push(field << 3 | 2);
    varint(to, content.len() as u64);
    to.extend_from_slice(content);
}

/// Appends a field that is an integer. Its number is below 16.
pub(crate) fn number(to: &mut Vec<u8>, field: u8, value: u64) {
    to.push(field << 3);
    varint(to, value);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
