//! Names of others, and what is known of each: who has them says which are wanted, and is told where they are. They are looked
//! up elsewhere ([`crate::resolve`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::Notify;

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of other networks: [`crate::peers`].
    Peers,
    /// Of other hosts of ours: [`crate::hosts`].
    Hosts,
}

impl Whose {
    pub(crate) const ALL: [Self; 2] = [Self::Peers, Self::Hosts];

    /// The key of the configuration that says which kinds of addresses are of use.
    const fn listen(self) -> &'static str {
        match self {
            Self::Peers => "stacks.openbridge.listen",
            Self::Hosts => "stacks.fastforward.listen",
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peers => "peers",
            Self::Hosts => "hosts",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Names {
    whose: Whose,
    /// Whether addresses of IPv4 and of IPv6 are of use.
    families: [bool; 2],
    known: BTreeMap<String, Name>,
    /// Those that nobody looks up yet.
    new: Vec<String>,
    changed: Rc<Notify>,
}

/// A name, and what is known of it.
#[derive(Debug, Default)]
struct Name {
    ip: Option<IpAddr>,
    /// Why it cannot be looked up now.
    trouble: Option<String>,
    /// To be looked up at once.
    again: Rc<Notify>,
}

impl Names {
    /// None yet. `families`: whether addresses of IPv4 and of IPv6 are of use.
    pub(crate) fn new(whose: Whose, families: [bool; 2]) -> Self {
        Self { whose, families, known: BTreeMap::new(), new: Vec::new(), changed: Rc::default() }
    }

    /// Those that are new are to be looked up, those that nobody has any more are not.
    pub(crate) fn want(&mut self, wanted: &BTreeSet<String>) {
        self.known.retain(|name, known| {
            let is_wanted = wanted.contains(name);
            if !is_wanted {
                known.again.notify_one();
            }
            is_wanted
        });
        for name in wanted {
            self.known.entry(name.clone()).or_insert_with_key(|name| {
                self.new.push(name.clone());
                Name::default()
            });
        }
        self.changed.notify_one();
    }

    /// Tells when there are new ones.
    pub(crate) fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// Those that nobody looks up yet, each with what says when it is to be looked up again.
    pub(crate) fn take_new(&mut self) -> Vec<(String, Rc<Notify>)> {
        let new = std::mem::take(&mut self.new);
        new.into_iter()
            .filter_map(|name| Some((name.clone(), Rc::clone(&self.known.get(&name)?.again))))
            .collect()
    }

    /// It is to be looked up at once, if it is known.
    pub(crate) fn look_again(&self, name: &str) {
        if let Some(known) = self.known.get(name) {
            known.again.notify_one();
        }
    }

    /// Where it is, as far as that is known.
    pub(crate) fn ip(&self, name: &str) -> Option<IpAddr> {
        self.known.get(name)?.ip
    }

    /// Why it cannot be looked up now.
    pub(crate) fn trouble(&self, name: &str) -> Option<&str> {
        self.known.get(name)?.trouble.as_deref()
    }

    /// A name was looked up. Returns what is new to say of it; `None` where whoever looked it up is to end.
    pub(crate) fn resolved(
        &mut self,
        name: &str,
        again: &Rc<Notify>,
        found: Result<Vec<IpAddr>, String>,
    ) -> Option<Option<String>> {
        let [v4, v6] = self.families;
        let known = self.known.get_mut(name).filter(|known| Rc::ptr_eq(&known.again, again))?;
        let found = found.and_then(|mut found| {
            found.retain(|ip| if ip.is_ipv4() { v4 } else { v6 });
            // What it was stays, where it is one of several.
            let ip = known.ip.filter(|ip| found.contains(ip)).or_else(|| found.first().copied());
            ip.ok_or_else(|| {
                format!("it has no address of a kind that {} has; add one there", self.whose.listen())
            })
        });
        Some(match found {
            Ok(ip) => {
                known.ip = Some(ip);
                known.trouble.take().map(|_| format!("{name} is {ip}"))
            }
            Err(why) if known.trouble.is_some() => {
                known.trouble = Some(why);
                None
            }
            Err(why) => {
                let meanwhile = known.ip.map(|ip| format!("; {ip} holds")).unwrap_or_default();
                known.trouble = Some(why.clone());
                Some(format!("{name}: {why}{meanwhile}"))
            }
        })
    }
}
