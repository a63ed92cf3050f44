//! Follows a registry that all clusters share: what changes there is made here as well, and what an operator changes here
//! is told there. All who ask look into our own copy, so nobody waits for the registry, and nothing changes for anybody
//! while it is away.
//!
//! A registry that is another one than before, older than it was, or empty is not followed: whoever restored it, or
//! started a wrong one, is asked first ([`Right`]).

#[cfg(test)]
mod conformance;
mod copy;
mod iproto;
mod state;
mod tarantool;
mod tuple;

use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use control::Right;
use registry::{Change, Error, MAX_AT_ONCE, Mark, Pending, Space, Store};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::facts::READY;
use crate::log;
use crate::services::Shared;
use copy::Standing;
pub(crate) use state::Following;
use tarantool::{Info, News, Tarantool};

pub(crate) use tarantool::Server;

/// Spaces whose records are the same everywhere. What was last heard each cluster has of its own.
pub(crate) const FOLLOWED: [Space; 8] = [
    Space::Nodes,
    Space::OverriddenNodes,
    Space::Devices,
    Space::Subscriptions,
    Space::GlobalProfiles,
    Space::Talkgroups,
    Space::Bans,
    Space::StoredValues,
];

/// How long the services' start waits for the registry.
const FIRST: Duration = Duration::from_secs(1);
/// How often a registry that is not followed is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often what the registry has refused is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// Records that are told at once: few enough that nobody waits long for their turn.
const TOLD: usize = 500;

/// Follows from now on, and waits a moment for the registry, which may be starting as well.
pub(crate) async fn begin(shared: &Shared, server: Server) {
    shared.borrow_mut().facts.set("registry", &format!("{}: not connected yet", server.address()));
    spawn_local(keep(Rc::clone(shared), server));
    let settled = Rc::clone(&shared.borrow().following.settled);
    // What is not known by then is told as a fact later.
    let _ = timeout(FIRST, settled.notified()).await;
}

async fn keep(shared: Shared, server: Server) {
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        let Err(error) = attend(&shared, &server).await;
        trouble(&shared, &error.to_string());
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        sleep(backoff.next(began.elapsed(), chance)).await;
    }
}

/// It is not followed now.
fn trouble(shared: &Shared, reason: &str) {
    let mut services = shared.borrow_mut();
    let following = &mut services.following;
    let meanwhile = if following.is_blind {
        "nobody can log in before it has been read once"
    } else {
        "the cluster goes on with its copy"
    };
    if following.is_ready.replace(false) != Some(false) || following.trouble != reason {
        log::line(format_args!("services: registry: {reason}; {meanwhile}"));
        reason.clone_into(&mut following.trouble);
    }
    if following.is_held {
        following.settle();
    }
    services.facts.set("registry", &format!("{reason}; {meanwhile}"));
}

/// It is followed.
fn ready(shared: &Shared) {
    let mut services = shared.borrow_mut();
    let following = &mut services.following;
    following.is_blind = false;
    if following.is_ready.replace(true) == Some(false) {
        log::line(format_args!("services: registry: followed"));
    }
    following.settle();
    let denied = following.denied.as_ref().map(|denied| format!("changes made here are not there: {denied}"));
    services.facts.set("registry", denied.as_deref().unwrap_or(READY));
}

/// One time from a connection to its end.
async fn attend(shared: &Shared, server: &Server) -> Result<Infallible, Error> {
    let tarantool = server.connect().await?;
    let result = serve(shared, server, &tarantool).await;
    tarantool.leave().await;
    result
}

async fn serve(shared: &Shared, server: &Server, tarantool: &Tarantool) -> Result<Infallible, Error> {
    let info = admit(shared, tarantool).await?;
    // First, so that what is read then has it.
    deliver(shared, tarantool).await?;
    let mark = shared.borrow().registry.mark()?;
    let mark = match mark {
        Some(mark) if mark.cluster == info.mark.cluster && mark.epoch == info.mark.epoch => mark,
        _ => read_all(shared, tarantool, info.mark).await?,
    };
    // A call that waits stops no other.
    let listener = server.connect().await?;
    ready(shared);
    let result =
        tokio::try_join!(listen(shared, tarantool, &listener, mark), keep_delivering(shared, tarantool));
    listener.leave().await;
    result.map(|(never, _)| never)
}

/// Waits until the registry is one to be followed.
async fn admit(shared: &Shared, tarantool: &Tarantool) -> Result<Info, Error> {
    loop {
        let info = tarantool.info().await?;
        let standing = copy::standing(&shared.borrow().registry, &info)?;
        let confirmed = shared.borrow_mut().following.confirmed.take();
        match (standing, confirmed) {
            (Standing::Good, _) | (_, Some(Right::Registry)) => {
                shared.borrow_mut().following.is_held = false;
                return Ok(info);
            }
            (_, Some(Right::Copy)) => {
                shared.borrow_mut().following.is_held = false;
                restore(shared, tarantool).await?;
                return tarantool.info().await;
            }
            (Standing::Held(reason), None) => {
                shared.borrow_mut().following.is_held = true;
                trouble(shared, &reason);
                let confirmed = shared.borrow().following.confirming.clone();
                let _ = timeout(LOOK, confirmed.notified()).await;
            }
        }
    }
}

/// Makes the registry what our copy is.
async fn restore(shared: &Shared, tarantool: &Tarantool) -> Result<(), Error> {
    shared.borrow().registry.make_all_pending(&FOLLOWED)?;
    for space in FOLLOWED {
        let mut after = None;
        loop {
            let page = tarantool.page(space, after.as_ref(), MAX_AT_ONCE).await?;
            let unknown = copy::unknown(&shared.borrow().registry, &page)?;
            if !unknown.is_empty() {
                tarantool.write(&unknown).await?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Reads all records, and makes our copy the same. Returns up to where it has been followed by that.
async fn read_all(shared: &Shared, store: &impl Store, mark: Mark) -> Result<Mark, Error> {
    shared.borrow_mut().following.refused.clear();
    for space in FOLLOWED {
        let mut after = None;
        loop {
            let page = store.page(space, after.as_ref(), MAX_AT_ONCE).await?;
            let next = page.next.clone();
            let (changes, refused) =
                copy::differences(&shared.borrow().registry, space, after.as_ref(), page)?;
            shared.borrow_mut().follow(&changes, refused, None)?;
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    shared.borrow_mut().follow(&[], vec![], Some(&mark))?;
    Ok(mark)
}

/// Makes here what changes there.
async fn listen(
    shared: &Shared,
    tarantool: &Tarantool,
    listener: &Tarantool,
    mut mark: Mark,
) -> Result<Infallible, Error> {
    loop {
        match listener.news(&mark).await? {
            News::Resync => {
                let Info { mark: anew, count } = tarantool.info().await?;
                if count == 0 {
                    // Emptied while we looked on: that is asked about like one that was found empty.
                    return Err(Error::Away(copy::EMPTY.to_owned()));
                }
                mark = read_all(shared, tarantool, anew).await?;
            }
            News::Changes { mark: next, changes, refused } => {
                if next.seq != mark.seq {
                    shared.borrow_mut().follow(&changes, refused, Some(&next))?;
                }
                mark = next;
            }
        }
    }
}

/// Tells there what changes here.
async fn keep_delivering(shared: &Shared, tarantool: &Tarantool) -> Result<Infallible, Error> {
    let changed = shared.borrow().following.changed.clone();
    loop {
        let _ = timeout(AGAIN, changed.notified()).await;
        deliver(shared, tarantool).await?;
        ready(shared);
    }
}

async fn deliver(shared: &Shared, tarantool: &Tarantool) -> Result<(), Error> {
    loop {
        let pending = shared.borrow().registry.pending(TOLD)?;
        if pending.is_empty() {
            break;
        }
        let changes: Vec<Change> = pending.iter().map(|pending| pending.change.clone()).collect();
        match tarantool.write(&changes).await {
            Ok(()) => shared.borrow().registry.delivered(&pending)?,
            Err(Error::Denied(_)) => return deliver_one_by_one(shared, tarantool, pending).await,
            Err(error) => return Err(error),
        }
    }
    shared.borrow_mut().following.denied = None;
    deliver_others(shared, tarantool).await
}

/// What is refused stays pending, and stops no other.
async fn deliver_one_by_one(
    shared: &Shared,
    tarantool: &Tarantool,
    pending: Vec<Pending>,
) -> Result<(), Error> {
    let mut denied = None;
    for pending in pending {
        match tarantool.write(std::slice::from_ref(&pending.change)).await {
            Ok(()) => shared.borrow().registry.delivered(std::slice::from_ref(&pending))?,
            Err(error @ Error::Denied(_)) => {
                denied.get_or_insert_with(|| {
                    format!("{} {}: {error}", pending.change.space, pending.change.key)
                });
            }
            Err(error) => return Err(error),
        }
    }
    shared.borrow_mut().following.denied = denied;
    Ok(())
}

async fn deliver_others(shared: &Shared, tarantool: &Tarantool) -> Result<(), Error> {
    loop {
        let keys = shared.borrow().following.others(TOLD);
        if keys.is_empty() {
            return Ok(());
        }
        let mut changes = Vec::new();
        for (space, key) in &keys {
            // What is gone or cannot be read is nobody else's business.
            let record = shared.borrow().registry.get(*space, key).ok().flatten();
            changes.extend(record.map(Change::put));
        }
        match tarantool.write_weakly(&changes).await {
            Ok(()) | Err(Error::Denied(_)) => shared.borrow_mut().following.told(&keys),
            Err(error) => return Err(error),
        }
    }
}
