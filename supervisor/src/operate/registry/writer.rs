//! Puts records into the registry, many at once, and remembers what could not be.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use control::{Fields, Paths, RegistryPut, ServicesRequest, request};
use registry::{MAX_AT_ONCE, Space};
use serde_json::{Map, Value};

use super::input::Place;
use super::progress::Progress;
use crate::say;

/// Bytes of records in one request, at most: fewer than a request may have.
const MAX_BYTES: usize = control::MAX_SERVICES_REQUEST / 2;
/// For a thousand records to be on a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that are named one by one.
const MAX_NAMED: usize = 20;

pub(super) struct Writer<'a> {
    paths: &'a Paths,
    /// Fields that stay as they are where they are left out.
    keep: Vec<String>,
    puts: Vec<RegistryPut>,
    bytes: usize,
    progress: Progress,
    /// Where it is read from.
    place: Rc<Place>,
    /// Records that the registry has now.
    done: usize,
    /// Of these, how many are not as before.
    changed: usize,
    /// Lines that cannot be.
    pub(super) bad: usize,
    /// Texts that were cut.
    pub(super) cut: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(paths: &'a Paths, place: Rc<Place>, keep: &[&str]) -> Self {
        Self {
            paths,
            keep: keep.iter().map(|name| (*name).to_owned()).collect(),
            puts: Vec::new(),
            bytes: 0,
            progress: Progress::new("imported"),
            place,
            done: 0,
            changed: 0,
            bad: 0,
            cut: 0,
        }
    }

    /// Puts a record that has been checked, now or with others.
    pub(super) fn put(&mut self, space: Space, record: Map<String, Value>) -> Result<()> {
        let put = RegistryPut { space: space.to_string(), record: Fields(record) };
        let bytes = control::to_line(&put)?.len();
        if self.bytes + bytes > MAX_BYTES {
            self.flush()?;
        }
        self.bytes += bytes;
        self.puts.push(put);
        if self.puts.len() >= MAX_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// A line that cannot be.
    pub(super) fn bad(&mut self, place: &str, reason: &str) {
        self.bad += 1;
        if self.bad <= MAX_NAMED {
            self.progress.clear();
            say::log(&format!("{place}: {}", say::clean(reason)));
        }
    }

    /// Puts what was not put yet.
    pub(super) fn flush(&mut self) -> Result<()> {
        let puts = std::mem::take(&mut self.puts);
        self.bytes = 0;
        if puts.is_empty() {
            return Ok(());
        }
        let count = puts.len();
        let write = ServicesRequest::RegistryWrite { puts, removes: vec![], keep: self.keep.clone() };
        self.changed += request::<usize, _>(self.paths, &write, PATIENCE)
            .context("the next records are not imported; import the file again when this is mended")?;
        self.done += count;
        self.progress.at(self.done, self.place.part());
        Ok(())
    }

    /// What came of it, in one line.
    pub(super) fn summary(&mut self) -> String {
        self.progress.clear();
        let Self { done, changed, bad, cut, .. } = self;
        let mut text = format!("{done} records imported, {changed} of them new or changed");
        if *cut > 0 {
            text.push_str(&format!("; {cut} texts were too long and are cut"));
        }
        if *bad > 0 {
            text.push_str(&format!("; {bad} entries cannot be and are left out"));
            if *bad > MAX_NAMED {
                text.push_str(&format!(", the first {MAX_NAMED} of them are named"));
            }
        }
        text
    }
}
