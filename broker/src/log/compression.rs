//! Unpacking and packing the records of a batch, for what a broker cannot do without a look at them: keys of compacted
//! topics, lookups by time. What is unpacked is bounded, as a small batch may claim to be a huge one.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::batch::BatchFault;

/// Far more than any client unpacks at once.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// Before the blocks of snappy-java, which Kafka's clients write; others write one block without a frame.
const SNAPPY_FRAME: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const SNAPPY_MAGIC_BYTES: usize = 8;
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// From a batch's attributes; `None` for a number that stands for no compression.
    pub(crate) fn find(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    pub(crate) fn unpack(self, packed: &[u8]) -> Result<Vec<u8>, BatchFault> {
        let unpacked = match self {
            Self::Gzip => read_bounded(MultiGzDecoder::new(packed)),
            Self::Snappy => unpack_snappy(packed),
            Self::Lz4 => unpack_lz4(packed),
            Self::Zstd => zstd::Decoder::with_buffer(packed).and_then(read_bounded),
        };
        unpacked.map_err(|_| BatchFault::Invalid("the batch's records cannot be decompressed"))
    }

    pub(crate) fn pack(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Snappy => pack_snappy(bytes),
            Self::Lz4 => {
                // Java's client reads independent blocks only.
                let mut encoder = lz4::EncoderBuilder::new()
                    .block_mode(lz4::BlockMode::Independent)
                    .block_size(lz4::BlockSize::Max64KB)
                    .build(Vec::new())?;
                encoder.write_all(bytes)?;
                let (packed, finished) = encoder.finish();
                finished.map(|()| packed)
            }
            Self::Zstd => zstd::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "more than may be unpacked")
}

fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    reader.take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > UNPACKED_BYTES_MAX { Err(too_large()) } else { Ok(unpacked) }
}

fn unpack_lz4(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = lz4::Decoder::new(packed)?;
    let unpacked = read_bounded(&mut decoder)?;
    // Only this tells a frame that has been cut off from a whole one.
    decoder.finish().1.map(|()| unpacked)
}

fn unpack_snappy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    if !packed.starts_with(&SNAPPY_FRAME[..SNAPPY_MAGIC_BYTES]) {
        unpack_snappy_block(packed, &mut unpacked)?;
        return Ok(unpacked);
    }
    let mut rest = packed.get(SNAPPY_FRAME.len()..).ok_or(io::ErrorKind::UnexpectedEof)?;
    while !rest.is_empty() {
        let (length, blocks) = rest.split_first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, following) = blocks.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        unpack_snappy_block(block, &mut unpacked)?;
        rest = following;
    }
    Ok(unpacked)
}

fn unpack_snappy_block(block: &[u8], unpacked: &mut Vec<u8>) -> io::Result<()> {
    let length = snap::raw::decompress_len(block).map_err(io::Error::other)?;
    let before = unpacked.len();
    if (before + length) as u64 > UNPACKED_BYTES_MAX {
        return Err(too_large());
    }
    unpacked.resize(before + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut unpacked[before..]).map_err(io::Error::other)?;
    Ok(())
}

fn pack_snappy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = SNAPPY_FRAME.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(SNAPPY_BLOCK_BYTES) {
        let block = encoder.compress_vec(block).map_err(io::Error::other)?;
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        packed.extend_from_slice(&length.to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_again() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        for number in 1..=4 {
            let codec = Codec::find(number).unwrap();
            let packed = codec.pack(&bytes).unwrap();
            assert!(packed.len() < bytes.len());
            assert_eq!(codec.unpack(&packed).unwrap(), bytes, "{codec:?}");
            assert!(codec.unpack(&packed[..packed.len() / 2]).is_err(), "{codec:?}");
        }
        assert_eq!(Codec::find(0), None);
        assert_eq!(Codec::find(5), None);
    }

    #[test]
    fn one_snappy_block_without_a_frame_is_understood() {
        let packed = snap::raw::Encoder::new().compress_vec(b"records").unwrap();
        assert_eq!(Codec::Snappy.unpack(&packed).unwrap(), b"records");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let huge = vec![0; UNPACKED_BYTES_MAX as usize + 1];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let packed = codec.pack(&huge).unwrap();
            assert!(codec.unpack(&packed).is_err(), "{codec:?}");
        }
    }
}
