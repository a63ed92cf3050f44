//! What lies between tarantool-rs and a server, beside bytes that are passed on as they are: a server before 2.10 does not
//! know the request with which that client begins, so it is answered here; and no answer may be larger than any that is
//! asked for. The frames: a length (MessagePack), then a header and a body (Tarantool's manual, "Binary protocol").

use std::io::{self, ErrorKind};

use rmpv::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The length of a greeting.
const GREETING: usize = 128;
/// The longest frame, bytes: more than the functions of `deploy/tarantool` hand out.
const MAX_FRAME: usize = 2 * 1024 * 1024;
/// The most values of a frame: each takes far more memory than it has bytes.
const MAX_VALUES: u64 = 200_000;
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

/// Passes answers on, each once it is whole and sound.
async fn pass_on(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let (prefix, body) = frame(from).await?;
        if !is_sound(&body) {
            let why = "an answer whose lengths cannot be, or of too many values";
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        to.write_all(&prefix).await?;
        to.write_all(&body).await?;
    }
}

/// Whether each value of MessagePack is as long as it says, and there are not too many of them: the client takes memory for
/// what is announced.
fn is_sound(mut bytes: &[u8]) -> bool {
    let (mut left, mut seen) = (0_u64, 0_u64);
    while let Some((&marker, rest)) = bytes.split_first() {
        seen += 1;
        if seen + left > MAX_VALUES {
            return false;
        }
        left = left.saturating_sub(1);
        // How many bytes tell a length, how many are there beside, and how many values follow for each of the length.
        let (digits, beside, values) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0, 0),
            0x80..=0x8f => (0, u64::from(marker & 0x0f) * 2, 1),
            0x90..=0x9f => (0, u64::from(marker & 0x0f), 1),
            0xa0..=0xbf => (0, u64::from(marker & 0x1f), 0),
            0xc4 | 0xd9 => (1, 0, 0),
            0xc5 | 0xda => (2, 0, 0),
            0xc6 | 0xdb => (4, 0, 0),
            0xc7 => (1, 1, 0),
            0xc8 => (2, 1, 0),
            0xc9 => (4, 1, 0),
            0xcc | 0xd0 => (0, 1, 0),
            0xcd | 0xd1 => (0, 2, 0),
            0xca | 0xce | 0xd2 => (0, 4, 0),
            0xcb | 0xcf | 0xd3 => (0, 8, 0),
            0xd4..=0xd8 => (0, 1 + (1 << (marker - 0xd4)), 0),
            0xdc => (2, 0, 1),
            0xdd => (4, 0, 1),
            0xde => (2, 0, 2),
            0xdf => (4, 0, 2),
            0xc1 => return false,
        };
        let Some((told, rest)) = rest.split_at_checked(digits) else { return false };
        let length = told.iter().fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
        let (children, length) = match (values, digits) {
            (0, _) => (0, length + beside),
            (_, 0) => (beside, 0),
            (each, _) => (length * each, 0),
        };
        left += children;
        let Some(rest) = usize::try_from(length).ok().and_then(|length| rest.get(length..)) else {
            return false;
        };
        bytes = rest;
    }
    left == 0
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

    #[test]
    fn what_is_announced_is_there() {
        let value = |value: &Value| {
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, value).unwrap();
            bytes
        };
        let mixed = Value::Map(vec![
            (1.into(), Value::Array(vec![Value::Nil, true.into(), (-1).into(), u64::MAX.into(), 1.5.into()])),
            ("x".repeat(300).into(), Value::Binary(vec![0; 70_000])),
            (Value::F32(1.0), Value::Array((0..70_000).map(Value::from).collect())),
            (i64::MIN.into(), Value::Ext(1, vec![0; 16])),
            ("y".into(), Value::Ext(1, vec![0; 300])),
        ]);
        let bytes = value(&mixed);
        assert!(is_sound(&bytes) && is_sound(&[&bytes[..], &bytes].concat()) && is_sound(&[]));
        for end in [1, 2, 9, 300, 70_000, bytes.len() - 1] {
            assert!(!is_sound(&bytes[..end]), "cut off after {end}");
        }
        let nils = |count: u32| [&[0xdd][..], &count.to_be_bytes(), &vec![0xc0; count as usize]].concat();
        assert!(is_sound(&nils(100_000)) && !is_sound(&nils(300_000)));
        assert!(!is_sound(&[0xdf, 0xff, 0xff, 0xff, 0xff]) && !is_sound(&[0xc1]));
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
            // A text of 4 GiB in a frame of six bytes.
            [greeting("3.0.0"), vec![6, 0x80, 0xdb, 0xff, 0xff, 0xff, 0xff]].concat(),
        ] {
            let (mut ours, _client) = duplex(1024);
            let (far, mut server) = duplex(1024);
            server.write_all(&said).await.unwrap();
            assert_eq!(join(&mut ours, far).await.unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
