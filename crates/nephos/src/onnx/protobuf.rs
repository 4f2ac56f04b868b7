//! Protocol Buffers' wire format, as far as a model needs it.

/// A message: its fields in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

/// How a field is stored.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    /// The message as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A message with a field more.
    #[must_use]
    pub fn with(mut self, add: impl FnOnce(&mut Self)) -> Self {
        add(&mut self);
        self
    }

    /// An integer; negative ones take ten bytes.
    pub fn int(&mut self, field: u64, value: i64) {
        self.key(field, VARINT);
        self.varint(value as u64);
    }

    /// Bytes.
    pub fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// A text.
    pub fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A number of 32 bits.
    pub fn float(&mut self, field: u64, value: f32) {
        self.key(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A message in this message.
    pub fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.bytes);
    }

    fn key(&mut self, field: u64, stored: u64) {
        self.varint(field << 3 | stored);
    }

    /// Seven bits per byte, the lowest first; the highest bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_specification() {
        // Examples of "Encoding", Protocol Buffers' documentation.
        let mut message = Message::default();
        message.int(1, 150);
        assert_eq!(message.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let outer = Message::default().with(|outer| outer.message(3, &message));
        assert_eq!(outer.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let text = Message::default().with(|text| text.text(2, "testing"));
        assert_eq!(text.into_bytes(), *b"\x12\x07testing");
        let negative = Message::default().with(|negative| negative.int(1, -2));
        assert_eq!(
            negative.into_bytes()[1..],
            [254, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        );
        let float = Message::default().with(|float| float.float(2, 1.0));
        assert_eq!(float.into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}
