//! Walks a request along its shape before the codec decodes it. The codec allocates for as many array elements as a request
//! claims, which a few bytes could drive to gigabytes and so to an abort; after this walk every claim is known to be backed
//! by bytes that came, and their number is known to be reasonable.

use super::cursor::{Cursor, Malformed, Width};
use super::shapes::{Field, Kind, Shape};

/// Checks a request's body. Bytes that follow it are let pass, as Kafka does and as some clients need: librdkafka leaves
/// three behind when it asks for all topics. Nothing reads them.
pub(crate) fn check(shape: &Shape, version: i16, body: &[u8], elements_max: usize) -> Result<(), Malformed> {
    let mut walk = Walk {
        cursor: Cursor(body),
        version,
        flexible: version >= shape.flexible_from,
        refuses_known_tags: shape.refuses_known_tags,
        elements: 0,
        elements_max,
    };
    walk.fields(shape.fields)
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    refuses_known_tags: u32,
    elements: usize,
    elements_max: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), Malformed> {
        let version = self.version;
        for field in fields.iter().filter(|field| (field.from..=field.to).contains(&version)) {
            self.value(&field.kind)?;
        }
        if self.flexible { self.tagged_fields() } else { Ok(()) }
    }

    fn value(&mut self, kind: &Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(bytes) => self.cursor.take(*bytes).map(drop),
            Kind::Text => self.skip_sized(Width::Two),
            Kind::Bytes => self.skip_sized(Width::Four),
            Kind::Array(element) => self.each(|walk| walk.value(element)),
            Kind::Structs(fields) => self.each(|walk| walk.fields(fields)),
            // As the codec reads it: anything but 1 means that nothing is there.
            Kind::Optional(fields) if self.cursor.take(1)? == [1] => self.fields(fields),
            Kind::Optional(_) => Ok(()),
        }
    }

    fn width(&self, otherwise: Width) -> Width {
        if self.flexible { Width::Compact } else { otherwise }
    }

    fn skip_sized(&mut self, otherwise: Width) -> Result<(), Malformed> {
        let length = self.cursor.length(self.width(otherwise))?;
        self.cursor.take(length.unwrap_or(0)).map(drop)
    }

    fn each(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        let count = self.cursor.length(self.width(Width::Four))?.unwrap_or(0);
        // No element is shorter than a byte.
        if count > self.cursor.remaining() {
            return Err(Malformed::ArrayTooLong(count, self.cursor.remaining()));
        }
        self.count(count)?;
        (0..count).try_for_each(|_| element(self))
    }

    fn tagged_fields(&mut self) -> Result<(), Malformed> {
        let count = self.cursor.unsigned_varint()? as usize;
        self.count(count)?;
        for _ in 0..count {
            let tag = self.cursor.unsigned_varint()?;
            if tag < self.refuses_known_tags {
                return Err(Malformed::ReplicaField(tag));
            }
            let bytes = self.cursor.unsigned_varint()? as usize;
            self.cursor.take(bytes)?;
        }
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), Malformed> {
        self.elements = self.elements.saturating_add(more);
        match self.elements > self.elements_max {
            true => Err(Malformed::TooManyElements(self.elements_max)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
