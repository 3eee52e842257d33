//! What errors have in common.

/// What to do about an error, where that can be said.
pub trait Hint {
    /// Returns a fact or an advice that helps: a fragment such as ``nearest task: `split` ``.
    fn hint(&self) -> Option<String>;
}
