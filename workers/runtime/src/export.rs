//! Writes down what shards hold for a build of another ABI: all that a process does that is started for it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use channel::{Child, Socket};
use fabric::{Export, StateReader};

use crate::Error;

pub(crate) fn write(socket: &Socket, shards: &[u16], fds: Vec<OwnedFd>) -> Result<(), Error> {
    let mut fds = fds.into_iter();
    let out = fds.next().ok_or_else(|| Error::Orders("an export without a file".into()))?;
    let mut export = Export::default();
    for (&shard, state) in shards.iter().zip(fds) {
        export.add(shard, &StateReader::open(state.as_fd())?);
    }
    File::from(out).write_all(export.bytes()).map_err(Error::system("writing an export"))?;
    socket.send(&Child::Exported, &[])?;
    Ok(())
}
