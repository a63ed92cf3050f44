//! A Tarantool with `deploy/tarantool/registry.lua`, through tarantool-rs. What that client lacks is round it: it is brought
//! to the server by a relay, each call has a time-out and ends with the connection, and a connection that has failed is
//! left, since the client would try for ever to make it anew.

use std::time::Duration;

use config::Url;
use registry::{Change, Error, Key, MAX_AT_ONCE, Mark, Page, Refused, Secret, Space, Store};
use rmpv::Value;
use tarantool_rs::{Connection, ExecutorExt, ReconnectInterval};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{FOLLOWED, iproto, tuple};
use crate::relay::{Link, Relay};
use crate::uplink::{Stream, Uplink};

/// How long a call may take that waits for nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a change is waited for in one call.
const WAIT: Duration = Duration::from_secs(3);
/// How long the client is given to let go of its connection.
const LEAVING: Duration = Duration::from_secs(1);
/// How long a connection whose server has gone is kept for it: longer than anybody waits before he asks again.
const KEPT: Duration = Duration::from_secs(60);
/// The longest name of a registry or of a life of its journal, in bytes.
const MAX_UUID: usize = 64;
/// Of `deploy/tarantool/registry.lua`.
const PROTOCOL: u64 = 1;
/// The client makes a queue of so many requests; with less than 100 it fails.
const QUEUE: usize = 100;
/// The server's error where a function is not there (ER_NO_SUCH_PROC).
const NO_FUNCTION: u32 = 33;

/// The server and how to log in there.
pub(crate) struct Server {
    pub(crate) relay: Relay,
    pub(crate) uplink: Uplink,
    /// Name and password; `None` where nobody is asked.
    pub(crate) login: Option<(String, Secret)>,
}

/// A connection. To be left by [`Self::leave`].
pub(crate) struct Tarantool {
    connection: Connection,
    link: Link,
    /// Why the connection has ended, once it has.
    ended: watch::Receiver<Option<String>>,
}

/// Which registry it is and how far it is.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) mark: Mark,
    /// Records of all spaces that are followed.
    pub(crate) count: u64,
    /// A space was emptied in one piece, in this life of the server.
    pub(crate) is_emptied: bool,
    /// Spaces that its registry.lua does not know, which is older than this program.
    pub(crate) lacks: Vec<Space>,
}

/// What has changed.
#[derive(Debug)]
pub(crate) enum News {
    /// These, up to that mark.
    Changes { mark: Mark, changes: Vec<Change>, refused: Vec<Refused> },
    /// Nobody knows any more: all is to be read anew.
    Resync,
}

impl Server {
    /// The one that the configuration names, if it does; to be called before the sandbox is entered.
    ///
    /// # Errors
    /// What cannot be read or bound.
    pub(crate) fn of(store: &config::Store) -> Result<Option<Self>, crate::Error> {
        let Url::Remote(remote) = &store.url else { return Ok(None) };
        let relay =
            Relay::bind().map_err(crate::Error::system("binding a port for the registry's client"))?;
        let uplink = Uplink::new(remote, store.ca_file.as_deref())?;
        let login = remote.user.clone().zip(store.password.clone());
        Ok(Some(Self { relay, uplink, login }))
    }

    /// Where it is, as it is written.
    pub(crate) fn address(&self) -> &str {
        self.uplink.address()
    }

    /// TCP ports that it connects to.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports = self.uplink.ports();
        ports.push(self.relay.address().port());
        ports
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// [`Error::Away`], [`Error::Denied`] with what to do.
    pub(crate) async fn connect(&self) -> Result<Tarantool, Error> {
        let away = |reason: String| Error::Away(format!("{}: {reason}", self.address()));
        let (said, ended) = watch::channel(None);
        let joined = |client, far| join(client, far, said);
        // What cannot be reached names itself.
        let link =
            self.relay.open(&self.uplink, joined).await.map_err(|error| Error::Away(error.to_string()))?;
        let mut builder = Connection::builder();
        builder.timeout(PATIENCE.max(WAIT) + PATIENCE).internal_simultaneous_requests_threshold(QUEUE);
        builder.reconnect_interval(ReconnectInterval::Fixed(Duration::from_secs(60)));
        if let Some((user, password)) = &self.login {
            builder.auth(user, password.expose());
        }
        let mut gone = ended.clone();
        let error = tokio::select! {
            biased;
            built = timeout(PATIENCE, builder.build(self.relay.address())) => match built {
                Ok(Ok(connection)) => return Ok(Tarantool { connection, link, ended }),
                Ok(Err(error)) => match explain(error) {
                    Error::Away(reason) => away(ended.borrow().clone().unwrap_or(reason)),
                    other => other,
                },
                Err(_) => away(too_slow(PATIENCE)),
            },
            reason = end_of(&mut gone) => away(reason),
        };
        // The client, too, lets go of it, before it can take the end for one to make good.
        let _ = timeout(LEAVING, link.ended()).await;
        Err(error)
    }
}

/// Joins a client and its server. The client sees no end of the connection before it lets go of it itself.
async fn join(mut client: TcpStream, far: Box<dyn Stream>, said: watch::Sender<Option<String>>) {
    let reason = match iproto::join(&mut client, far).await {
        // It has let go.
        Ok(()) => return,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it has closed the connection".to_owned()
        }
        Err(error) => error.to_string(),
    };
    said.send_replace(Some(reason));
    let mut rest = [0; 1024];
    let _ = timeout(KEPT, async { while client.read(&mut rest).await.is_ok_and(|read| read > 0) {} }).await;
    let _ = client.shutdown().await;
}

async fn end_of(ended: &mut watch::Receiver<Option<String>>) -> String {
    match ended.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        // The relay's task is gone.
        Err(_) => "the connection has ended".to_owned(),
    }
}

impl Tarantool {
    /// Lets go of the connection.
    pub(crate) async fn leave(self) {
        drop(self.connection);
        let _ = timeout(LEAVING, self.link.ended()).await;
    }

    async fn call(&self, function: &str, arguments: Vec<Value>, patience: Duration) -> Result<Value, Error> {
        let mut ended = self.ended.clone();
        let answer = tokio::select! {
            biased;
            answer = timeout(patience, self.connection.call(function, arguments)) => answer,
            reason = end_of(&mut ended) => return Err(Error::Away(reason)),
        };
        let answer = answer.map_err(|_| Error::Away(too_slow(patience)))?.map_err(explain)?;
        answer.decode_first().map_err(|error| Error::Away(format!("its answer makes no sense: {error}")))
    }

    /// Which registry it is.
    ///
    /// # Errors
    /// [`Error::Away`], [`Error::Denied`].
    pub(crate) async fn info(&self) -> Result<Info, Error> {
        let answer = self.call("dmr_registry_info", vec![], PATIENCE).await?;
        let protocol = number(&answer, "protocol")?;
        if protocol != PROTOCOL {
            return Err(Error::Denied(format!(
                "its registry.lua speaks protocol {protocol}, and this program {PROTOCOL}: load the one of this version"
            )));
        }
        let mark = Mark {
            cluster: text(&answer, "cluster")?,
            version: number(&answer, "version")?,
            epoch: text(&answer, "epoch")?,
            seq: number(&answer, "seq")?,
        };
        let is_emptied = get(&answer, "emptied").and_then(Value::as_bool) == Some(true);
        Ok(Info { mark, count: number(&answer, "count")?, is_emptied, lacks: lacks(&answer) })
    }

    /// Waits for what comes after a mark, some seconds at most: then it is nothing.
    ///
    /// # Errors
    /// [`Error::Away`], [`Error::Denied`].
    pub(crate) async fn news(&self, mark: &Mark) -> Result<News, Error> {
        let known = FOLLOWED.map(|space| space.name().into()).to_vec();
        let arguments =
            vec![mark.epoch.as_str().into(), mark.seq.into(), WAIT.as_secs().into(), Value::Array(known)];
        let answer = self.call("dmr_registry_wait", arguments, WAIT + PATIENCE).await?;
        if get(&answer, "resync").and_then(Value::as_bool) == Some(true) {
            return Ok(News::Resync);
        }
        let mark =
            Mark { version: number(&answer, "version")?, seq: number(&answer, "seq")?, ..mark.clone() };
        let (mut changes, mut refused) = (Vec::new(), Vec::new());
        for row in get(&answer, "changes").and_then(Value::as_array).ok_or_else(nonsense)? {
            let row = row.as_array().ok_or_else(nonsense)?;
            let space = row.first().and_then(Value::as_str).and_then(Space::named).ok_or_else(nonsense)?;
            match tuple::change_from(space, &row[1..]) {
                (_, Ok(change)) => changes.push(change),
                (key, Err(error)) => refused.push(Refused { space, key, error }),
            }
        }
        Ok(News::Changes { mark, changes, refused })
    }

    /// Puts records, but not in the place of an operator's.
    ///
    /// # Errors
    /// [`Error::Away`], [`Error::Denied`].
    pub(crate) async fn write_weakly(&self, changes: &[Change]) -> Result<(), Error> {
        self.write_all(changes, true).await
    }

    async fn write_all(&self, changes: &[Change], weakly: bool) -> Result<(), Error> {
        let changes = changes.iter().map(|change| tuple::change_of(change, weakly)).collect();
        self.call("dmr_registry_write", vec![Value::Array(changes)], PATIENCE).await.map(drop)
    }
}

impl Store for Tarantool {
    async fn page(&self, space: Space, after: Option<&Key>, most: usize) -> Result<Page, Error> {
        let most = most.min(MAX_AT_ONCE);
        let last = after.map_or(Value::Nil, |key| tuple::value_of(&key.to_value()));
        let answer =
            self.call("dmr_registry_page", vec![space.name().into(), last, most.into()], PATIENCE).await?;
        let rows = answer.as_array().ok_or_else(nonsense)?;
        let (mut page, mut previous) = (Page::default(), after.cloned());
        for row in rows {
            let row = row.as_array().ok_or_else(nonsense)?;
            let (key, change) = tuple::change_from(space, row);
            if key.is_none() && row.get(1).is_some_and(Value::is_array) {
                // It counts for the server, and the next page could not be asked for.
                return Err(Error::Away(format!(
                    "{space} has a row that only the server can name: is registry.lua of this version loaded there?"
                )));
            }
            match change {
                Ok(Change { record: Some(record), .. }) => page.records.push(record),
                Ok(_) => return Err(nonsense()),
                Err(error) => page.refused.push(Refused { space, key: key.clone(), error }),
            }
            let Some(key) = key else { continue };
            if previous.is_some_and(|previous| previous >= key) {
                return Err(Error::Away(format!(
                    "{space} is not in the order of its keys: is its index a tree?"
                )));
            }
            previous = Some(key);
        }
        // A page that its size has cut short is not the last one.
        page.next = previous.filter(|previous| after != Some(previous));
        Ok(page)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), Error> {
        self.write_all(changes, false).await
    }
}

/// Those that the answer does not name. One that names none is of before there were peers.
fn lacks(answer: &Value) -> Vec<Space> {
    let there =
        |names: &Vec<Value>, space: Space| names.iter().any(|name| name.as_str() == Some(space.name()));
    match get(answer, "spaces").and_then(Value::as_array) {
        Some(names) => FOLLOWED.into_iter().filter(|space| !there(names, *space)).collect(),
        None => vec![Space::Peers],
    }
}

fn get<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    answer.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn number(answer: &Value, name: &str) -> Result<u64, Error> {
    get(answer, name).and_then(Value::as_u64).ok_or_else(nonsense)
}

fn text(answer: &Value, name: &str) -> Result<String, Error> {
    let text = get(answer, name).and_then(Value::as_str).filter(|text| text.len() <= MAX_UUID);
    text.map(str::to_owned).ok_or_else(nonsense)
}

fn nonsense() -> Error {
    Error::Away("its answer makes no sense: is registry.lua of this version loaded there?".to_owned())
}

fn too_slow(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs())
}

/// What the client's errors mean.
fn explain(error: tarantool_rs::Error) -> Error {
    use tarantool_rs::Error as E;
    match error {
        E::Response(error) if error.code == NO_FUNCTION => {
            Error::Denied(format!("{}: load deploy/tarantool/registry.lua there", error.description))
        }
        E::Response(error) => Error::Denied(error.description),
        E::Auth(error) => Error::Denied(format!("{}; see registry.password_file", error.description)),
        E::CallEval(value) => Error::Denied(value.to_string()),
        E::Timeout | E::ConnectTimeout => Error::Away("no answer".to_owned()),
        other => Error::Away(other.to_string()),
    }
}
