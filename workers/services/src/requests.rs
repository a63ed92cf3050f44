//! The request socket: one JSON line a connection, answered by one line; events go on for as long as somebody
//! listens. Only root and the user who runs the cluster are heard.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::{MAX_SERVICES_REQUEST, ServicesRequest};
use nix::unistd::Uid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Error;
use crate::answer::{answer, reply};
use crate::bus::Listener;
use crate::services::Shared;

/// Connections at once.
pub(crate) const MAX_CONNECTIONS: usize = 64;
/// How long a request may take to come.
const ASKING: Duration = Duration::from_secs(10);
/// How long one that does not read is waited for.
const READING: Duration = Duration::from_secs(60);
/// How often a listener that hears nothing is looked after.
const LOOKING: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the kernel refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the socket for ever. Each connection holds one of `connections`, which has [`MAX_CONNECTIONS`].
pub(crate) async fn serve(listener: UnixListener, shared: Shared, connections: Arc<Semaphore>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            // What fits into a new socket's buffer, so that nobody is waited for.
            let _ = stream.try_write(&reply(Err::<(), _>(Error::TooMany(MAX_CONNECTIONS))));
            continue;
        };
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            // Who hangs up gets nothing.
            let _ = connection(&mut stream, &shared).await;
            drop(permit);
        });
    }
}

async fn connection(stream: &mut UnixStream, shared: &Shared) -> Option<()> {
    let request = match read_request(stream).await {
        Ok(request) => request?,
        Err(error) => return write(stream, &reply(Err::<(), _>(error))).await,
    };
    if request == ServicesRequest::Events {
        let listener = shared.borrow().bus.listen();
        write(stream, &reply(Ok::<_, Error>(()))).await?;
        return stream_events(stream, listener).await;
    }
    let answer = answer(&mut shared.borrow_mut(), request);
    // It may have changed something.
    shared.borrow().following.changed.notify_one();
    write(stream, &answer).await
}

/// The request; `None` where the other side hung up.
async fn read_request(stream: &mut UnixStream) -> Result<Option<ServicesRequest>, Error> {
    let peer = stream.peer_cred().map_err(Error::system("asking who asks"))?;
    if peer.uid() != 0 && peer.uid() != Uid::effective().as_raw() {
        return Err(Error::NotAllowed);
    }
    let mut line = Vec::new();
    let most = MAX_SERVICES_REQUEST as u64 + 1;
    let mut reader = BufReader::new(stream.take(most));
    let read = timeout(ASKING, reader.read_until(b'\n', &mut line)).await;
    match read {
        Err(_) => return Err(Error::TooSlow(ASKING.as_secs())),
        Ok(Err(_) | Ok(0)) => return Ok(None),
        Ok(Ok(_)) => {}
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    if line.len() > MAX_SERVICES_REQUEST {
        return Err(Error::NoRequest(format!("a line longer than {MAX_SERVICES_REQUEST} bytes")));
    }
    // The parser's words can repeat what was sent, and that may be a password.
    serde_json::from_slice(line).map(Some).map_err(|error| Error::NoRequest(what_is_wrong(&error)))
}

fn what_is_wrong(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let kind = match error.classify() {
        Category::Data => "a request, key or value that is not known",
        _ => "no JSON",
    };
    format!("{kind} at column {}", error.column())
}

/// `None` where nobody reads.
async fn write(stream: &mut UnixStream, bytes: &[u8]) -> Option<()> {
    timeout(READING, stream.write_all(bytes)).await.ok()?.ok()
}

async fn stream_events(stream: &mut UnixStream, mut listener: Listener) -> Option<()> {
    loop {
        match timeout(LOOKING, listener.next()).await {
            Ok(line) => write(stream, line?.as_bytes()).await?,
            // Nothing is sent, so nothing fails: a socket that was closed has to be asked.
            Err(_) if is_closed(stream).await => return None,
            Err(_) => {}
        }
    }
}

/// Whether the other side has closed its end; one that only sends no more has not.
async fn is_closed(stream: &UnixStream) -> bool {
    match timeout(Duration::ZERO, stream.ready(Interest::WRITABLE)).await {
        Ok(ready) => ready.map_or(true, |ready| ready.is_write_closed()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_listener_is_found() {
        let (mine, mut theirs) = UnixStream::pair().unwrap();
        assert!(!is_closed(&mine).await);
        theirs.shutdown().await.unwrap();
        mine.readable().await.unwrap();
        assert!(!is_closed(&mine).await, "it only sends no more");
        let full = vec![0; 1 << 20];
        while mine.try_write(&full).is_ok() {}
        assert!(!is_closed(&mine).await, "it only does not read");
        drop(theirs);
        while !is_closed(&mine).await {
            tokio::task::yield_now().await;
        }
    }
}
