//! What lies between tarantool-rs and a server, beside bytes that are passed on as they are: a server before 2.10 does not
//! know the request with which that client begins, so it is answered here; and no answer may be larger than any that is
//! asked for. The frames: a length (MessagePack), then a header and a body (Tarantool's manual, "Binary protocol").

use std::io::{self, ErrorKind};

use rmpv::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The length of a greeting.
const GREETING: usize = 128;
/// The longest frame, bytes: several times what the functions of `deploy/tarantool` hand out.
const MAX_FRAME: usize = 8 * 1024 * 1024;
/// The request that names the client's features.
const ID: u64 = 73;
/// Keys of a header.
const TYPE: u64 = 0x00;
const SYNC: u64 = 0x01;
const SCHEMA_VERSION: u64 = 0x05;

/// Passes all on between a client and a server, until either has ended. The client's half of the connection is whole
/// when this returns.
pub(crate) async fn join<C, F>(client: &mut C, far: F) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let mut greeting = [0; GREETING];
    from_far.read_exact(&mut greeting).await?;
    if !greeting.starts_with(b"Tarantool ") {
        return Err(io::Error::new(ErrorKind::InvalidData, "it does not greet as Tarantool does"));
    }
    client.write_all(&greeting).await?;
    let (mut from_client, mut to_client) = tokio::io::split(client);
    if !knows_id(&greeting) {
        tokio::select! {
            // Answers until then: to the log-in alone, which is over when the client names its features.
            result = pass_on(&mut from_far, &mut to_client) => return result,
            sync = until_id(&mut from_client, &mut to_far) => {
                to_client.write_all(&no_features(sync?)).await?;
            }
        }
    }
    tokio::select! {
        result = pass_on(&mut from_far, &mut to_client) => result,
        result = tokio::io::copy(&mut from_client, &mut to_far) => result.map(drop),
    }
}

/// Whether a server of this greeting (`Tarantool 2.6.0 (Binary) ...`) knows the request: 2.10 and later do.
fn knows_id(greeting: &[u8]) -> bool {
    let text = String::from_utf8_lossy(greeting);
    let mut version = text.split(' ').nth(1).unwrap_or_default().split(['.', '-']);
    let mut number = || version.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    (number(), number()) >= (2, 10)
}

/// Passes requests on until the one that names features; returns its number.
async fn until_id(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<u64> {
    loop {
        let (length, body) = frame(from).await?;
        let header = rmpv::decode::read_value(&mut &body[..]).map_err(io::Error::other)?;
        let of = |key| {
            let entry = header.as_map()?.iter().find(|(name, _)| name.as_u64() == Some(key));
            entry.and_then(|(_, value)| value.as_u64())
        };
        if of(TYPE) == Some(ID) {
            return Ok(of(SYNC).unwrap_or(0));
        }
        to.write_all(&length).await?;
        to.write_all(&body).await?;
    }
}

/// The answer of a server that has none of the features.
fn no_features(sync: u64) -> Vec<u8> {
    let number = |key: u64, value: u64| (Value::from(key), Value::from(value));
    let header = Value::Map(vec![number(TYPE, 0), number(SYNC, sync), number(SCHEMA_VERSION, 0)]);
    let mut body = Vec::new();
    for value in [header, Value::Map(vec![])] {
        // Writing to memory does not fail.
        let _ = rmpv::encode::write_value(&mut body, &value);
    }
    let mut frame = vec![0xce];
    frame.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    frame.extend(body);
    frame
}

async fn pass_on(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let (prefix, length) = length(from).await?;
        to.write_all(&prefix).await?;
        let passed = tokio::io::copy(&mut from.take(length as u64), to).await?;
        if passed < length as u64 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (prefix, length) = length(from).await?;
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok((prefix, body))
}

/// The length of the next frame, and its bytes.
async fn length(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, usize)> {
    let marker = from.read_u8().await?;
    let more = match marker {
        0..=0x7f => 0,
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        // The client always writes so many.
        0xcf => 8,
        _ => return Err(io::Error::new(ErrorKind::InvalidData, "a frame does not begin with its length")),
    };
    let mut prefix = vec![marker; 1 + more];
    from.read_exact(&mut prefix[1..]).await?;
    let digits = if more == 0 { &prefix[..] } else { &prefix[1..] };
    let length = digits.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    let Some(length) = usize::try_from(length).ok().filter(|&length| length <= MAX_FRAME) else {
        let why = format!("a frame of {length} bytes; no answer has more than {MAX_FRAME}");
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    };
    Ok((prefix, length))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn greeting(version: &str) -> Vec<u8> {
        let mut greeting = format!("Tarantool {version} (Binary) 0").into_bytes();
        greeting.resize(GREETING, b' ');
        greeting
    }

    fn request(kind: u64, sync: u64) -> Vec<u8> {
        let header = Value::Map(vec![(TYPE.into(), kind.into()), (SYNC.into(), sync.into())]);
        let mut body = Vec::new();
        rmpv::encode::write_value(&mut body, &header).unwrap();
        [vec![0xcf], u64::try_from(body.len()).unwrap().to_be_bytes().to_vec(), body].concat()
    }

    async fn read(from: &mut (impl AsyncRead + Unpin), length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[test]
    fn versions() {
        for (version, knows) in
            [("2.6.0", false), ("1.10.15", false), ("2.10.0-beta2", true), ("3.2.1", true), ("x", false)]
        {
            assert_eq!(knows_id(&greeting(version)), knows, "{version}");
        }
    }

    #[tokio::test]
    async fn an_old_server_is_not_asked_for_its_features() {
        let (mut client, mut ours) = duplex(1024);
        let (far, mut server) = duplex(1024);
        let relay = tokio::spawn(async move { join(&mut ours, far).await });
        server.write_all(&greeting("2.6.0")).await.unwrap();
        assert_eq!(read(&mut client, GREETING).await, greeting("2.6.0"));
        let (login, id, call) = (request(7, 0), request(ID, 1), request(10, 2));
        client.write_all(&login).await.unwrap();
        assert_eq!(read(&mut server, login.len()).await, login);
        server.write_all(&login).await.unwrap();
        assert_eq!(read(&mut client, login.len()).await, login, "stands for the answer");
        client.write_all(&id).await.unwrap();
        let answer = read(&mut client, no_features(1).len()).await;
        assert_eq!(answer, no_features(1));
        client.write_all(&call).await.unwrap();
        assert_eq!(read(&mut server, call.len()).await, call, "the server has seen nothing between");
        drop(client);
        relay.await.unwrap().unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_new_server_is_asked_itself() {
        let (mut client, mut ours) = duplex(1024);
        let (far, mut server) = duplex(1024);
        let relay = tokio::spawn(async move { join(&mut ours, far).await });
        server.write_all(&greeting("3.2.1")).await.unwrap();
        read(&mut client, GREETING).await;
        let id = request(ID, 1);
        client.write_all(&id).await.unwrap();
        assert_eq!(read(&mut server, id.len()).await, id);
        drop(server);
        assert_eq!(relay.await.unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_no_server_says_ends_it() {
        for said in [
            vec![b'x'; GREETING],
            [greeting("3.0.0"), vec![0xc0]].concat(),
            [greeting("3.0.0"), vec![0xce, 0x7f, 0xff, 0xff, 0xff]].concat(),
        ] {
            let (mut ours, _client) = duplex(1024);
            let (far, mut server) = duplex(1024);
            server.write_all(&said).await.unwrap();
            assert_eq!(join(&mut ours, far).await.unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
