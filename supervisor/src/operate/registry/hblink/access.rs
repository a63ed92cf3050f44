//! Access lists of hblink, and what of all becomes a part of our own configuration.

use std::collections::BTreeMap;

/// Entries that a list of `[access]` can have.
const MAX_ENTRIES: usize = config::MAX_ACCESS;
/// Addresses of a stack.
const MAX_LISTEN: usize = 4;

/// `PERMIT:ALL`, `DENY:1,100-200`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acl {
    pub(super) permit: bool,
    /// First and last of each; empty for `ALL`.
    pub(super) ranges: Vec<(u32, u32)>,
}

impl Acl {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no access list, e.g. PERMIT:ALL or DENY:1,100-200");
        let (action, list) = text.split_once(':').ok_or_else(wrong)?;
        let permit = match action.trim().to_ascii_uppercase().as_str() {
            "PERMIT" => true,
            "DENY" => false,
            _ => return Err(wrong()),
        };
        let mut ranges = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if item.eq_ignore_ascii_case("ALL") {
                return Ok(Self { permit, ranges: Vec::new() });
            }
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let range = first.trim().parse().ok().zip(last.trim().parse().ok());
            ranges.push(range.filter(|(first, last): &(u32, u32)| first <= last).ok_or_else(wrong)?);
        }
        if ranges.is_empty() { Err(wrong()) } else { Ok(Self { permit, ranges }) }
    }

    /// Everybody may.
    pub(super) fn is_open(&self) -> bool {
        self.permit && self.ranges.is_empty()
    }

    /// The single IDs that are permitted: those are known.
    pub(super) fn known(&self) -> impl Iterator<Item = u32> {
        let ranges = self.permit.then_some(&self.ranges);
        ranges.into_iter().flatten().filter(|(first, last)| first == last).map(|(first, _)| *first)
    }
}

/// Parts of our own configuration file.
#[derive(Debug, Default)]
pub(super) struct Snippet {
    pub(super) listen: Vec<String>,
    /// Where the password is that devices without one of their own have.
    pub(super) password_of: Option<String>,
    pub(super) hang_time: Option<u32>,
    /// Where links to other networks listen.
    bridge: Vec<String>,
    /// Allowed and denied entries, by name of the list.
    access: BTreeMap<&'static str, [Vec<String>; 2]>,
}

impl Snippet {
    /// Takes an access list; says why where that cannot be.
    pub(super) fn take(&mut self, list: &'static str, acl: &Acl, most: u32) -> Result<(), String> {
        if acl.is_open() {
            return Ok(());
        }
        if acl.ranges.is_empty() {
            return Err("nothing would be let through".to_owned());
        }
        let beyond = acl.ranges.iter().find(|(first, last)| *first == 0 || *last > most);
        if let Some((first, last)) = beyond {
            return Err(format!("{first}-{last}: IDs are from 1 to {most} here"));
        }
        let entry = |(first, last): &(u32, u32)| {
            if first == last { first.to_string() } else { format!("\"{first}-{last}\"") }
        };
        self.add(list, acl.permit, acl.ranges.iter().map(entry).collect())
    }

    /// Adds entries as they are written in the file. A second list of what is allowed would let through more than both do.
    pub(super) fn add(
        &mut self,
        list: &'static str,
        allow: bool,
        entries: Vec<String>,
    ) -> Result<(), String> {
        let [allowed, denied] = self.access.entry(list).or_default();
        let there = if allow { allowed } else { denied };
        if allow && !there.is_empty() && *there != entries {
            return Err("it allows something else than another list of the same kind, and both would count"
                .to_owned());
        }
        let new: Vec<String> = entries.into_iter().filter(|entry| !there.contains(entry)).collect();
        if there.len() + new.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} entries: put neighbours into ranges"));
        }
        there.extend(new);
        Ok(())
    }

    /// Adds an address; says why where that cannot be.
    pub(super) fn listen(&mut self, address: &str, port: &str) -> Result<(), String> {
        let at = socket(address, port)?;
        add(&mut self.listen, at)
    }

    /// Adds an address of links to other networks; says why where that cannot be.
    pub(super) fn bridge(&mut self, address: &str, port: &str) -> Result<(), String> {
        let at = socket(address, port)?;
        if self.bridge.contains(&at) { Ok(()) } else { add(&mut self.bridge, at) }
    }

    /// As text; empty where there is nothing.
    pub(super) fn to_toml(&self) -> String {
        let mut text = String::new();
        if let Some(hang_time) = self.hang_time {
            text.push_str(&format!("[calls]\nhang_time = {hang_time}\n"));
        }
        for (list, [allow, deny]) in &self.access {
            if allow.is_empty() && deny.is_empty() {
                continue;
            }
            text.push_str(&format!("[access.{list}]\n"));
            for (name, entries) in [("allow", allow), ("deny", deny)] {
                if !entries.is_empty() {
                    text.push_str(&format!("{name} = [{}]\n", entries.join(", ")));
                }
            }
        }
        if !self.listen.is_empty() || self.password_of.is_some() {
            text.push_str("[stacks.mmdvm]\n");
        }
        if !self.listen.is_empty() {
            let listen: Vec<String> = self.listen.iter().map(|address| format!("{address:?}")).collect();
            text.push_str(&format!("listen = [{}]\n", listen.join(", ")));
        }
        if let Some(place) = &self.password_of {
            text.push_str(&format!(
                "# password = \"...\"    # copy it from {place}: it is not printed here\n"
            ));
        }
        if !self.bridge.is_empty() {
            let listen: Vec<String> = self.bridge.iter().map(|address| format!("{address:?}")).collect();
            text.push_str(&format!("[stacks.openbridge]\nlisten = [{}]\n", listen.join(", ")));
        }
        text
    }
}

fn socket(address: &str, port: &str) -> Result<String, String> {
    let Some(port) = port.trim().parse().ok().filter(|port: &u16| *port > 0) else {
        return Err(format!("port {port:?} is none"));
    };
    let address = if address.trim().is_empty() { "0.0.0.0" } else { address.trim() };
    let Ok(ip) = address.parse() else { return Err(format!("{address:?} is no IP address")) };
    Ok(std::net::SocketAddr::new(ip, port).to_string())
}

fn add(listen: &mut Vec<String>, at: String) -> Result<(), String> {
    if listen.len() >= MAX_LISTEN {
        return Err(format!("a stack listens on {MAX_LISTEN} addresses at most"));
    }
    listen.push(at);
    Ok(())
}
