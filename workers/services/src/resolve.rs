//! Names of hosts: looked up by this thread, since libc's own look-up would need files, and a thread for each. Name servers
//! and `/etc/hosts` are read once, before the sandbox. Nothing is remembered here.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::names::Whose;
use crate::services::Shared;

/// The port of name servers: answers that are too long for a datagram come by TCP.
pub(crate) const DNS: u16 = 53;
/// How long one name server may take.
const DNS_PATIENCE: Duration = Duration::from_secs(2);
/// How often a name is looked up.
const AGAIN: Duration = Duration::from_secs(60);

/// What looks names up.
pub(crate) struct Resolver(TokioResolver);

impl Resolver {
    /// As resolv.conf(5) has it, but that a slow server leaves time for others, and that nothing is remembered. To be called
    /// before the sandbox is entered.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn new() -> Result<Self, String> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.timeout = options.timeout.min(DNS_PATIENCE);
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Always;
        let resolver = builder.build();
        resolver
            .map(Self)
            .map_err(|error| format!("names cannot be looked up: {error}; see /etc/resolv.conf"))
    }

    /// For a server of the test's own.
    #[cfg(test)]
    pub(crate) fn of(resolver: TokioResolver) -> Self {
        Self(resolver)
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// In words: why not, and what to do.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let servers = "the name servers are those of /etc/resolv.conf when the services started";
        match self.0.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(format!("the name has no address; correct it ({servers})"))
            }
            Err(error) => Err(format!("the name cannot be looked up: {error}; {servers}")),
        }
    }
}

/// Looks up all names from now on: when one is new, when whoever has it has changed, and each minute.
pub(crate) fn begin(shared: &Shared, resolver: Resolver) {
    let resolver = Rc::new(resolver);
    for whose in Whose::ALL {
        spawn_local(keep(Rc::clone(shared), Rc::clone(&resolver), whose));
    }
}

async fn keep(shared: Shared, resolver: Rc<Resolver>, whose: Whose) {
    let changed = shared.borrow_mut().names(whose).changed();
    loop {
        let new = shared.borrow_mut().names(whose).take_new();
        for (name, again) in new {
            spawn_local(follow(Rc::clone(&shared), Rc::clone(&resolver), whose, name, again));
        }
        changed.notified().await;
    }
}

/// One name, as long as somebody has it.
async fn follow(shared: Shared, resolver: Rc<Resolver>, whose: Whose, name: String, again: Rc<Notify>) {
    let mut backoff = Backoff::new();
    loop {
        let found = resolver.addresses(&name).await;
        let wait = match &found {
            Ok(_) => {
                backoff = Backoff::new();
                AGAIN
            }
            Err(_) => backoff.next(Duration::ZERO, getrandom::u32().unwrap_or(u32::MAX)),
        };
        if !shared.borrow_mut().resolved(whose, &name, &again, found) {
            return;
        }
        let _ = timeout(wait, again.notified()).await;
    }
}
