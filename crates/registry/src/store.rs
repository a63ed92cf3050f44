//! What every store of records does, wherever it is.

use crate::{Change, Error, Key, Record, Space};

/// The most records of one page, and changes of one write.
pub const MAX_AT_ONCE: usize = 1000;

/// Some records of a space, in the order of their keys.
#[derive(Debug, Default)]
pub struct Page {
    /// Those that can be.
    pub records: Vec<Record>,
    /// Those that cannot.
    pub refused: Vec<Refused>,
    /// After which key the next page begins; `None` where this was the last.
    pub next: Option<Key>,
}

/// A record that cannot be, and hides no other.
#[derive(Debug)]
pub struct Refused {
    /// Where it lies.
    pub space: Space,
    /// Its key, where that can be one.
    pub key: Option<Key>,
    /// What is wrong with it.
    pub error: Error,
}

/// A store of records.
pub trait Store {
    /// The first records after a key, at most [`MAX_AT_ONCE`].
    ///
    /// # Errors
    /// Where the store cannot be read. A record that cannot be is none: [`Page::refused`] has it.
    fn page(
        &self,
        space: Space,
        after: Option<&Key>,
        most: usize,
    ) -> impl Future<Output = Result<Page, Error>>;

    /// Makes the changes, at most [`MAX_AT_ONCE`]: all of them or none. When this returns, they outlive a crash.
    ///
    /// # Errors
    /// Why none was made.
    fn write(&self, changes: &[Change]) -> impl Future<Output = Result<(), Error>>;
}
