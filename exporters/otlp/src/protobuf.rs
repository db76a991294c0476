//! A reader of protobuf fields, for the two small messages a receiver answers.

/// The message ends in the middle of a field, or is no protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The value of a field, as its wire type gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// An integer, a boolean or an enum.
    Varint(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// A fixed-size number, of which no message here has one.
    Fixed,
}

/// The fields of a message, in the order of the wire.
///
/// After an error there are no more fields.
/// ([Encoding](https://protobuf.dev/programming-guides/encoding/))
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups left the language before OTLP existed.
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_whatever_their_type() {
        let message = [
            0x08, 0x96, 0x01, // 1: 150
            0x12, 0x02, b'h', b'i', // 2: "hi"
            0x1d, 1, 2, 3, 4, // 3: fixed32
            0x21, 1, 2, 3, 4, 5, 6, 7, 8, // 4: fixed64
        ];
        let fields: Result<Vec<_>, _> = Fields::of(&message).collect();
        assert_eq!(
            fields.unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed),
                (4, Value::Fixed),
            ]
        );
    }

    #[test]
    fn the_largest_integer_is_read() {
        let mut message = vec![0x08];
        message.extend([0xff; 9]);
        message.push(1);
        let field = Fields::of(&message).next();
        assert_eq!(field, Some(Ok((1, Value::Varint(u64::MAX)))));
    }

    #[test]
    fn every_broken_message_ends_with_an_error() {
        let broken: [&[u8]; 7] = [
            &[0x08],                                                      // no value
            &[0x80],                                                      // half a tag
            &[0x00, 0x00],                                                // field zero
            &[0x12, 0x05, b'h'],                                          // shorter than it says
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],               // longer than memory
            &[0x0b, 0x0c],                                                // a group
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], // 11 bytes
        ];
        for message in broken {
            let fields: Vec<_> = Fields::of(message).collect();
            assert_eq!(fields, [Err(Malformed)], "{message:?}");
        }
    }
}
