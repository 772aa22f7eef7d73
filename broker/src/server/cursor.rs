//! Reads the primitives of Kafka's protocol from a frame, never beyond its end.

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the frame ends inside a field")]
    CutOff,
    #[error("a length is negative")]
    NegativeLength,
    #[error("an array claims {0} elements in {1} bytes")]
    ArrayTooLong(usize, usize),
    #[error("more than {0} array elements and tagged fields")]
    TooManyElements(usize),
    #[error("tagged field {0} belongs to replicas, which this broker does not have")]
    ReplicaField(u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed::CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// As the codec reads it: five bytes at most, of the last of which the upper bits are ignored.
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// A length in four or two bytes where -1 is null, or one more than the length in a varint where 0 is null.
    pub(crate) fn length(&mut self, width: Width) -> Result<Option<usize>, Malformed> {
        let signed = match width {
            Width::Compact => return Ok((self.unsigned_varint()? as usize).checked_sub(1)),
            Width::Two => self.i16()?.into(),
            Width::Four => self.i32()?,
        };
        match signed {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed::NegativeLength),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Compact,
    Two,
    Four,
}
