//! Writes all records to a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use control::{Exit, Paths};
use registry::Space;

use super::progress::Progress;
use super::{lines, pages};
use crate::say;

pub(super) fn export(paths: &Paths, path: &Path) -> Result<Exit> {
    let (records, unreadable) = if path == Path::new("-") {
        write(paths, io::stdout().lock())?
    } else {
        let beside = Beside::new(path)?;
        let written = write(paths, &beside.file)?;
        beside.put()?;
        written
    };
    say::log(&format!("{records} records exported, with passwords in clear: let nobody else read them"));
    if unreadable > 0 {
        say::warning(&format!("{unreadable} records cannot be read and are not in it"));
        return Ok(Exit::Failure);
    }
    Ok(Exit::Ok)
}

/// Returns how many records are written, and how many cannot be read.
fn write(paths: &Paths, to: impl Write) -> Result<(usize, usize)> {
    let (mut to, mut progress) = (BufWriter::new(to), Progress::new("exported"));
    let (mut records, mut unreadable) = (0, 0);
    to.write_all(&lines::header()?)?;
    for space in Space::ALL {
        unreadable += pages(paths, space, true, |page| {
            for record in page {
                to.write_all(&lines::line(space, record)?)?;
                records += 1;
            }
            progress.at(records, None);
            Ok(())
        })?;
    }
    to.flush()?;
    Ok((records, unreadable))
}

/// A file beside the one that it takes the place of once it is whole: for this user's eyes only, and gone where it does
/// not get whole.
struct Beside {
    path: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Beside {
    fn new(path: &Path) -> Result<Self> {
        let name = path.file_name().with_context(|| format!("{}: no name of a file", path.display()))?;
        let mut new = name.to_owned();
        new.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(new);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.with_context(|| format!("cannot make {}", beside.display()))?;
        Ok(Self { path: path.to_owned(), beside, file })
    }

    fn put(self) -> Result<()> {
        let put = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::rename(&self.beside, &self.path)?;
            // Else the new name may be lost with the power.
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
            File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
        };
        put().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export");
        fs::write(&path, "old").unwrap();
        drop(Beside::new(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let new = Beside::new(&path).unwrap();
        (&new.file).write_all(b"new").unwrap();
        new.put().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
