//! What the supervisor shows an operator of the services, by name: told when they are ready, and again when it changes.

use std::collections::BTreeMap;

/// The fact of a store or broker that does its work.
pub(crate) const READY: &str = "ready";

#[derive(Debug, Default)]
pub(crate) struct Facts {
    told: BTreeMap<String, String>,
    changed: BTreeMap<String, String>,
}

impl Facts {
    /// From now on it is so. `value` is shown to whoever asks: no secrets.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if self.told.get(name).is_some_and(|told| told == value) {
            self.changed.remove(name);
        } else {
            self.changed.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What was last set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.changed.get(name).or_else(|| self.told.get(name)).map(String::as_str)
    }

    /// What has changed since it was last asked for.
    pub(crate) fn take_changes(&mut self) -> Option<BTreeMap<String, String>> {
        if self.changed.is_empty() {
            return None;
        }
        let changes = std::mem::take(&mut self.changed);
        self.told.extend(changes.clone());
        Some(changes)
    }

    /// Those changes did not arrive.
    pub(crate) fn not_told(&mut self, changes: BTreeMap<String, String>) {
        for (name, value) in changes {
            self.told.remove(&name);
            self.changed.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once() {
        let mut facts = Facts::default();
        facts.set("registry", READY);
        facts.set("registry", "does not answer");
        facts.set("events", READY);
        let told = facts.take_changes().unwrap();
        assert_eq!((&*told["registry"], &*told["events"], told.len()), ("does not answer", READY, 2));
        facts.set("events", READY);
        assert_eq!(facts.take_changes(), None);
        facts.set("events", "gone");
        facts.set("events", READY);
        assert_eq!(facts.take_changes(), None, "it is again what was told");
        facts.set("events", "gone");
        assert_eq!((facts.get("events"), facts.get("registry")), (Some("gone"), Some("does not answer")));
        let lost = facts.take_changes().unwrap();
        facts.set("events", READY);
        facts.not_told(lost);
        assert_eq!(&*facts.take_changes().unwrap()["events"], READY);
    }
}
