//! A frame is a length, a checksum and that many bytes. A file of frames is appended to by one
//! process; a reader takes the frames that are whole and stops at the first that is not, which is
//! what a kill in the middle of a write leaves.

/// Longest payload of a frame, in bytes.
const MOST: usize = 64 << 20;
const HEADER: usize = 8;

/// Appends a frame with `payload` to `buffer`.
///
/// # Panics
///
/// When `payload` is longer than 64 MiB; callers put large values into files of their own.
pub fn append_frame(buffer: &mut Vec<u8>, payload: &[u8]) {
    assert!(payload.len() <= MOST, "a frame is at most {MOST} bytes");
    buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    buffer.extend_from_slice(payload);
}

/// Iterates over the whole frames at the start of `bytes`.
#[derive(Debug, Clone)]
pub struct FrameReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> FrameReader<'a> {
    /// Returns a reader over `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Returns the offset behind the last frame returned.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns whether bytes remain that are no whole frame.
    pub fn is_damaged(&self) -> bool {
        self.offset < self.bytes.len()
    }
}

impl<'a> Iterator for FrameReader<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.offset..];
        let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let checksum = u32::from_le_bytes(rest.get(4..HEADER)?.try_into().ok()?);
        if length > MOST {
            return None;
        }
        let payload = rest.get(HEADER..HEADER + length)?;
        if crc32fast::hash(payload) != checksum {
            return None;
        }
        self.offset += HEADER + length;
        Some(payload)
    }
}

/// Returns the whole frames of `bytes`.
pub fn read_frames(bytes: &[u8]) -> FrameReader<'_> {
    FrameReader::new(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_file_cut_anywhere_gives_the_whole_frames_before_the_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            for payload in &payloads {
                append_frame(&mut bytes, payload);
                ends.push(bytes.len());
            }
            let cut = cut.index(bytes.len() + 1);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let mut reader = read_frames(&bytes[..cut]);
            let read: Vec<_> = reader.by_ref().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&read[..], &payloads[..whole]);
            prop_assert_eq!(reader.is_damaged(), cut != ends[whole]);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_frames(&bytes).count();
        }

        #[test]
        fn a_flipped_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 1..40), bit in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            append_frame(&mut bytes, &payload);
            let bit = HEADER * 8 + bit.index(payload.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(read_frames(&bytes).count(), 0);
        }
    }
}
