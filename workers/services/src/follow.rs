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
use registry::{Change, Error, Key, MAX_AT_ONCE, Mark, Pending, Space, Store};
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
pub(crate) const FOLLOWED: [Space; 9] = [
    Space::Nodes,
    Space::OverriddenNodes,
    Space::Devices,
    Space::Subscriptions,
    Space::GlobalProfiles,
    Space::Talkgroups,
    Space::Bans,
    Space::StoredValues,
    Space::Peers,
];

/// How long the services' start waits for the registry.
const FIRST: Duration = Duration::from_secs(1);
/// How often a registry that is not followed is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often what the registry has refused is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long it is waited for the rest of a registry that is being emptied.
const EMPTYING: Duration = Duration::from_secs(1);
/// Before that no server says that nothing has changed.
const EARLY: Duration = Duration::from_secs(1);
/// More records than any space has.
const MAX_RECORDS: usize = 5_000_000;
/// The longest text of a server that is shown, in characters.
const MAX_WORDS: usize = 300;
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
        let (error, lasted) = match server.connect().await {
            Ok(tarantool) => {
                let began = Instant::now();
                let Err(error) = serve(&shared, &server, &tarantool).await;
                tarantool.leave().await;
                (error, began.elapsed())
            }
            Err(error) => (error, Duration::ZERO),
        };
        // A word is about the registry that was there when it was said.
        shared.borrow_mut().following.let_go();
        trouble(&shared, &error.to_string());
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        sleep(backoff.next(lasted, chance)).await;
    }
}

/// What a server has said, on one line and not too long.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

/// It is not followed now.
fn trouble(shared: &Shared, reason: &str) {
    let mut services = shared.borrow_mut();
    let following = &mut services.following;
    let (reason, meanwhile) = (plain(reason), following.meanwhile());
    // What is starting at the same moment is not there at the first attempt.
    let is_first = following.is_ready.is_none() && !following.is_held && following.trouble.is_empty();
    if !is_first && (following.is_ready.replace(false) != Some(false) || following.trouble != reason) {
        log::line(format_args!("services: registry: {reason}; {meanwhile}"));
    }
    following.trouble.clone_from(&reason);
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
    if following.told_denied != denied {
        if let Some(denied) = &denied {
            log::line(format_args!("services: registry: {denied}"));
        }
        following.told_denied.clone_from(&denied);
    }
    services.facts.set("registry", denied.as_deref().unwrap_or(READY));
}

/// One connection, to its end.
async fn serve(shared: &Shared, server: &Server, tarantool: &Tarantool) -> Result<Infallible, Error> {
    let info = admit(shared, tarantool).await?;
    // First, so that what is read then has it.
    deliver(shared, tarantool, true).await?;
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
        shared.borrow_mut().following.lacks(&info.lacks);
        let standing = copy::standing(&shared.borrow().registry, &info)?;
        let cluster = &info.mark.cluster;
        let what = match standing {
            Standing::Good => return Ok(info),
            Standing::Restoring => {
                // That can be taken back, while it lasts.
                shared.borrow_mut().following.is_held = true;
                trouble(shared, "it is being made the same as this cluster's copy");
                if restore(shared, tarantool).await? {
                    shared.borrow_mut().following.is_held = false;
                    shared.borrow().registry.accept(cluster)?;
                    return tarantool.info().await;
                }
                if obey(shared, cluster)? {
                    return tarantool.info().await;
                }
                continue;
            }
            Standing::Held(what) => what,
        };
        let confirming = {
            let following = &mut shared.borrow_mut().following;
            following.is_held = true;
            following.records_there = Some(info.count);
            Rc::clone(&following.confirming)
        };
        let before = shared.borrow().registry.held(cluster)?;
        if before.is_none() {
            shared.borrow().registry.hold(cluster, &what)?;
        }
        trouble(shared, &format!("{what}, and not followed: `bmctl registry status` says what can be done"));
        let _ = timeout(LOOK, confirming.notified()).await;
        if obey(shared, cluster)? {
            return tarantool.info().await;
        }
    }
}

/// Does what an operator has said of a registry, if he has. True where it is to be followed: that it is empty, say, is not
/// asked about again.
fn obey(shared: &Shared, cluster: &str) -> Result<bool, Error> {
    let confirmed = shared.borrow_mut().following.confirmed.take();
    match confirmed {
        None => Ok(false),
        Some(Right::Copy) => {
            shared.borrow().registry.restore(cluster)?;
            Ok(false)
        }
        Some(Right::Registry) => {
            shared.borrow().registry.accept(cluster)?;
            shared.borrow_mut().following.is_held = false;
            trouble(shared, "it is being read, as an operator has said");
            Ok(true)
        }
    }
}

/// Makes the registry what our copy is. Done again from the beginning where it was cut short; false where an operator has
/// said something else meanwhile.
async fn restore(shared: &Shared, tarantool: &Tarantool) -> Result<bool, Error> {
    for space in FOLLOWED {
        let mut after = None;
        loop {
            let page = shared.borrow().registry.list(space, after.as_ref(), TOLD)?;
            after = page.next;
            let changes: Vec<Change> = page.records.into_iter().map(Change::put).collect();
            write_or_note(shared, tarantool, changes).await?;
            if shared.borrow().following.confirmed == Some(Right::Registry) {
                return Ok(false);
            }
            if after.is_none() {
                break;
            }
        }
        while !shared.borrow().following.is_lacking(space) {
            let page = tarantool.page(space, after.as_ref(), MAX_AT_ONCE).await?;
            let unknown = copy::unknown(&shared.borrow().registry, &page)?;
            write_or_note(shared, tarantool, unknown).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(true)
}

/// Writes all of the changes that are not refused; those are named. Says of each whether the registry has it.
async fn write(shared: &Shared, tarantool: &Tarantool, changes: &[Change]) -> Result<Vec<bool>, Error> {
    match tarantool.write(changes).await {
        Ok(()) => return Ok(vec![true; changes.len()]),
        Err(Error::Denied(_)) => {}
        Err(error) => return Err(error),
    }
    let mut has = Vec::with_capacity(changes.len());
    for change in changes {
        has.push(match tarantool.write(std::slice::from_ref(change)).await {
            Ok(()) => true,
            Err(error @ Error::Denied(_)) => {
                shared.borrow_mut().following.deny(change, &plain(&error.to_string()));
                false
            }
            Err(error) => return Err(error),
        });
    }
    Ok(has)
}

/// The same; what is refused is told again later.
async fn write_or_note(shared: &Shared, tarantool: &Tarantool, changes: Vec<Change>) -> Result<(), Error> {
    let has = write(shared, tarantool, &changes).await?;
    let refused: Vec<Change> =
        changes.into_iter().zip(has).filter(|(_, has)| !has).map(|(change, _)| change).collect();
    if refused.is_empty() { Ok(()) } else { shared.borrow().registry.tell_again(&refused) }
}

/// Reads all records, and makes our copy the same. Returns up to where it has been followed by that.
async fn read_all(shared: &Shared, store: &impl Store, mark: Mark) -> Result<Mark, Error> {
    shared.borrow_mut().following.refused.clear();
    for space in FOLLOWED {
        let (mut after, mut count) = (None, 0);
        while !shared.borrow().following.is_lacking(space) {
            let page = store.page(space, after.as_ref(), MAX_AT_ONCE).await?;
            let next = page.next.clone();
            count += page.records.len() + page.refused.len();
            if count > MAX_RECORDS {
                return Err(Error::Away(format!(
                    "{space} has more than {MAX_RECORDS} records; none has so many"
                )));
            }
            let (changes, refused) =
                copy::differences(&shared.borrow().registry, space, after.as_ref(), page)?;
            shared.borrow_mut().follow(&changes, refused, None)?;
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    let mut services = shared.borrow_mut();
    services.follow(&[], vec![], Some(&mark))?;
    services.following.has_read = true;
    Ok(mark)
}

/// Makes here what changes there.
async fn listen(
    shared: &Shared,
    tarantool: &Tarantool,
    listener: &Tarantool,
    mut mark: Mark,
) -> Result<Infallible, Error> {
    if !shared.borrow().following.has_read {
        // Once a process, and not only from the mark on: whatever was missed is found.
        mark = read_all(shared, tarantool, mark).await?;
    }
    loop {
        let began = Instant::now();
        match listener.news(&mark).await? {
            News::Resync => {
                // Spaces that are emptied one after the other are seen as one that is empty.
                sleep(EMPTYING).await;
                let info = tarantool.info().await?;
                shared.borrow_mut().following.lacks(&info.lacks);
                let standing = copy::standing(&shared.borrow().registry, &info)?;
                if standing != Standing::Good {
                    // Emptied while we looked on: that is asked about like one that was found empty.
                    return Err(Error::Away("it has changed as a whole".to_owned()));
                }
                mark = read_all(shared, tarantool, info.mark).await?;
            }
            News::Changes { mark: next, changes, refused } => {
                if next.seq < mark.seq {
                    return Err(Error::Away("its journal goes backwards".to_owned()));
                }
                if next.seq == mark.seq && began.elapsed() < EARLY {
                    return Err(Error::Away("it answers before anything has changed".to_owned()));
                }
                if next.seq != mark.seq {
                    shared.borrow_mut().following.heard += 1;
                    shared.borrow_mut().follow(&changes, refused, Some(&next))?;
                }
                mark = next;
            }
        }
    }
}

/// Tells there what changes here.
async fn keep_delivering(shared: &Shared, tarantool: &Tarantool) -> Result<Infallible, Error> {
    let changed = Rc::clone(&shared.borrow().following.changed);
    let mut tried = Instant::now();
    loop {
        let _ = timeout(AGAIN, changed.notified()).await;
        let again = tried.elapsed() >= AGAIN;
        if again {
            tried = Instant::now();
        }
        deliver(shared, tarantool, again).await?;
        ready(shared);
    }
}

/// Tells what is pending, but what was refused before only where it is time for that again.
async fn deliver(shared: &Shared, tarantool: &Tarantool, again: bool) -> Result<(), Error> {
    if again {
        shared.borrow_mut().following.denied_keys.clear();
        shared.borrow_mut().following.denied = None;
    }
    let mut last = None;
    loop {
        let mut pending = shared.borrow().registry.pending(last.as_ref(), TOLD)?;
        last = pending.last().cloned();
        if last.is_none() {
            break;
        }
        pending.retain(|pending| !shared.borrow().following.is_denied(&pending.change));
        if pending.is_empty() {
            continue;
        }
        let changes: Vec<Change> = pending.iter().map(|pending| pending.change.clone()).collect();
        // What is refused stays pending, and stops no other.
        let has = write(shared, tarantool, &changes).await?;
        let told: Vec<Pending> =
            pending.into_iter().zip(has).filter(|(_, has)| *has).map(|(told, _)| told).collect();
        shared.borrow().registry.delivered(&told)?;
    }
    deliver_others(shared, tarantool).await?;
    settle(shared, tarantool).await
}

async fn deliver_others(shared: &Shared, tarantool: &Tarantool) -> Result<(), Error> {
    loop {
        // What changes meanwhile is told again.
        let keys = shared.borrow_mut().following.take_others(TOLD);
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
            Ok(()) => {}
            Err(Error::Denied(_)) => {
                for change in changes {
                    match tarantool.write_weakly(&[change]).await {
                        Ok(()) => {}
                        Err(Error::Denied(_)) => shared.borrow_mut().following.dropped += 1,
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => {
                for (space, key) in keys {
                    shared.borrow_mut().following.share(space, [key]);
                }
                return Err(error);
            }
        }
    }
}

/// Looks at what the registry has where we did not take what it said: by now it has what we said, or what another said
/// after us.
async fn settle(shared: &Shared, tarantool: &Tarantool) -> Result<(), Error> {
    let mut last = None;
    loop {
        let doubtful = shared.borrow().registry.doubtful(last.as_ref(), TOLD)?;
        last = doubtful.last().cloned();
        if last.is_none() {
            return Ok(());
        }
        for (space, key) in doubtful {
            if shared.borrow().following.is_lacking(space) {
                continue;
            }
            let heard = shared.borrow().following.heard;
            let change = look_up(tarantool, space, &key).await?;
            let mut services = shared.borrow_mut();
            if services.following.heard != heard {
                // Something newer may have come by the other connection: it is looked at again.
                services.following.changed.notify_one();
                continue;
            }
            // Where it is to be told there again, it is doubtful again.
            services.registry.settle(space, &key)?;
            if let Some(change) = change {
                services.follow(&[change], vec![], None)?;
            }
        }
    }
}

/// What the registry has under a key; `None` where that cannot be.
async fn look_up(store: &impl Store, space: Space, key: &Key) -> Result<Option<Change>, Error> {
    let mut after = match key {
        Key::Id(0) | Key::Name(_) => None,
        Key::Id(id) => Some(Key::Id(id - 1)),
    };
    loop {
        let most = if after.is_some() { 1 } else { MAX_AT_ONCE };
        let page = store.page(space, after.as_ref(), most).await?;
        if let Some(record) = page.records.into_iter().find(|record| record.key == *key) {
            return Ok(Some(Change::put(record)));
        }
        if page.refused.iter().any(|refused| refused.key.as_ref() == Some(key)) {
            return Ok(None);
        }
        after = page.next.filter(|next| next < key);
        if after.is_none() {
            return Ok(Some(Change::remove(space, key.clone())));
        }
    }
}
