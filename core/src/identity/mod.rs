//! What makes an element the same as one that was run before: its identity, a digest over everything that
//! can change its result. The encoding is written down in `docs/identity.md`.

mod digest;

pub use digest::{Digest, ParseDigestError};
