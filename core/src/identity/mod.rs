//! What makes an element the same as one that was run before: its identity, a digest over everything that
//! can change its result. The encoding is written down in `docs/identity.md`.

mod cbor;
mod digest;
mod task;
mod value;

pub use cbor::Encoder;
pub use digest::{Digest, ParseDigestError};
pub use task::{ElementHasher, Given, result_parameters, task};
pub use value::{PathContent, Producer, ValueHasher, absolute, execution, list, plain, relative};

/// Returns the digest of what was encoded.
pub fn digest_of(encoded: &Encoder) -> Digest {
    blake3::hash(encoded.as_bytes()).into()
}
