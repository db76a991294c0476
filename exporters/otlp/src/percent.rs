//! Percent-decoding, for values of header variables and for gRPC messages.

/// Replaces `%41` by the byte it stands for. A `%` that no two hex digits follow
/// stays as it is: what a receiver wrote is still worth reading.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    // A hex digit is below 16, so it fits.
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn escapes_become_bytes_and_broken_ones_stay() {
        assert_eq!(decode(b"Basic%20dXNlcg%3D%3d"), b"Basic dXNlcg==");
        assert_eq!(decode("caf%C3%A9".as_bytes()), "café".as_bytes());
        assert_eq!(decode(b"100%"), b"100%");
        assert_eq!(decode(b"%4"), b"%4");
        assert_eq!(decode(b"%zz%25"), b"%zz%");
        assert_eq!(decode(b""), b"");
    }
}
