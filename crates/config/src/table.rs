//! The TOML tree as it is walked: a table or a value, and where it is, so that each error knows line and path.

use std::fmt::Display;
use std::net::SocketAddr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, line_of, quote};

/// A table and where it is.
pub(crate) struct Table<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: String,
    pub(crate) entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Refuses all keys but these.
    pub(crate) fn only(&self, valid: &[&str]) -> Result<(), Error> {
        let unknown = self.entries.keys().filter(|key| !valid.contains(&key.get_ref().as_ref()));
        let Some(first) = unknown.min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        Err(Error::UnknownKey {
            line: line_of(self.text.as_bytes(), first.span().start),
            key: self.shown(first.get_ref()),
            valid: valid.join(", "),
        })
    }

    /// A key with its path, as it is shown.
    fn shown(&self, name: &str) -> String {
        let plain = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        self.key(&if plain { name.to_owned() } else { quote(name) })
    }

    /// All keys in the order of the file, each with its value.
    pub(crate) fn all(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(key, _)| key.span().start);
        let value = |name: &str, value| Value { text: self.text, key: self.shown(name), value };
        all.into_iter().map(|(key, it)| (key.get_ref().as_ref(), value(key.get_ref(), it))).collect()
    }

    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'a>> {
        let value = self.entries.get(name)?;
        Some(Value { text: self.text, key: self.key(name), value })
    }

    /// What `read` makes of the key's value and the default; the default where there is no such key.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Value<'a>, T) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.get(name) {
            Some(value) => read(&value, default),
            None => Ok(default),
        }
    }
}

/// A value and where it is.
pub(crate) struct Value<'a> {
    text: &'a str,
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(crate) fn get(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub(crate) fn wrong(&self, reason: impl Display) -> Error {
        let line = line_of(self.text.as_bytes(), self.value.span().start);
        Error::Value { line, key: self.key.clone(), reason: reason.to_string() }
    }

    pub(crate) fn table(&self, valid: &[&str]) -> Result<Table<'a>, Error> {
        let table = self.any_table()?;
        table.only(valid)?;
        Ok(table)
    }

    /// A table with whatever keys.
    pub(crate) fn any_table(&self) -> Result<Table<'a>, Error> {
        let Some(entries) = self.get().as_table() else {
            return Err(self.wrong(format!("a table; write [{}] on a line of its own", self.key)));
        };
        Ok(Table { text: self.text, path: self.key.clone(), entries })
    }

    pub(crate) fn string(&self, wanted: &str) -> Result<&'a str, Error> {
        self.get().as_str().ok_or_else(|| self.wrong(format!("write {wanted}")))
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        let integer = self.get().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(crate) fn boolean(&self) -> Result<bool, Error> {
        self.get().as_bool().ok_or_else(|| self.wrong("write true or false"))
    }

    pub(crate) fn address(&self, example: &str) -> Result<SocketAddr, Error> {
        let text = self.string(&format!("an address with a port, e.g. \"{example}\""))?;
        text.parse().map_err(|_| {
            self.wrong(format!("{}: not an address with a port; write e.g. \"{example}\"", quote(text)))
        })
    }

    /// The items of an array, each with the array's path and a line of its own; `None` where it is no array.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let items = self.get().as_array()?.iter();
        Some(items.map(|value| Value { text: self.text, key: self.key.clone(), value }).collect())
    }
}
