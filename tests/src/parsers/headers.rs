//! The headers of W3C.

use throughline::w3c::{
    Baggage, BaggageBuf, Decoded, Encoded, TraceState, TraceStateBuf, traceparent as w3c,
};

use super::lines;

/// What is read is valid, and is read again from what is written.
pub fn traceparent(data: &[u8]) {
    let Ok(context) = w3c::parse(data) else { return };
    assert!(context.is_valid() && context.is_remote());
    assert_eq!(w3c::parse(&w3c::write(&context)), Ok(context));
}

/// What is joined stays within the limits, and says the same when it is read
/// again.
pub fn tracestate(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(state) = TraceState::parse(text)
    {
        assert!(state.members().count() <= 32);
        assert!(state.members().all(|(key, _)| state.get(key).is_some()));
    }
    let Ok(state) = TraceStateBuf::from_headers(lines(data)) else { return };
    assert!(state.as_str().len() <= 513 && state.members().count() <= 32);
    assert_eq!(TraceStateBuf::from_headers([state.as_str().as_bytes()]).as_ref(), Ok(&state));
    for (key, value) in state.members() {
        assert_eq!(state.get(key), Some(value));
        let without = state.remove(key);
        assert_eq!(without.get(key), None);
        let with = without.insert(key, value).expect("it was in it");
        assert_eq!(with.members().next(), Some((key, value)));
        assert!(with.as_str().len() <= 513 && with.members().count() <= 32);
    }
}

/// What is kept is well-formed, each key is there once, and whatever was read can
/// be set.
pub fn baggage(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        let read = Baggage::new(text);
        assert_eq!(read.is_empty(), read.entries().count() == 0);
        assert!(read.entries().all(|entry| read.get(entry.key()).is_some()));
    }
    // A buffer that fills, too.
    keep::<64>(data);
    keep::<8192>(data);
}

fn keep<const N: usize>(data: &[u8]) {
    let (kept, _) = BaggageBuf::<N>::from_headers(lines(data));
    assert!(kept.as_str().len() <= N && kept.len() <= 64);
    assert_eq!(kept.as_baggage().malformed(), 0);
    let (again, report) = BaggageBuf::<N>::from_headers([kept.as_str().as_bytes()]);
    assert_eq!(again, kept);
    assert_eq!((report.malformed, report.dropped), (0, 0));
    let mut rest = kept.clone();
    for entry in kept.entries() {
        assert_eq!(kept.get(entry.key()), Some(entry.value()));
        assert!(rest.remove(entry.key()), "each key is there once");
        let value = entry.value().to_string();
        let mut set = BaggageBuf::<8192>::new();
        set.insert(entry.key(), &value, entry.metadata()).expect("it was in one");
        assert_eq!(set.get(entry.key()).map(|set| set.to_string()), Some(value));
        let metadata = set.entries().next().map(|set| set.metadata().to_owned());
        assert_eq!(metadata.as_deref(), Some(entry.metadata()));
    }
    assert!(rest.is_empty());
}

/// Decoding gives what the standard library makes of the bytes, and undoes
/// encoding.
pub fn percent(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let decoded = Decoded::new(text);
    assert_eq!(decoded.to_string(), String::from_utf8_lossy(&bytes(data)));
    assert_eq!(decoded.as_str().unwrap_or(&decoded.to_string()), decoded.to_string());
    let encoded = Encoded::new(text).to_string();
    assert_eq!(encoded.len(), Encoded::new(text).len());
    assert_eq!(Decoded::new(&encoded).to_string(), text);
}

/// The bytes for which percent-encoded text stands.
fn bytes(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}
