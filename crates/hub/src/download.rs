//! One file, from the hub to its place in the cache: going on where an earlier try stopped, checked, then renamed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use crate::check::Expected;
use crate::client::{Client, Head};
use crate::store::Store;
use crate::{Error, Event, Listener, Reference};

/// Tries in a row that bring no more than [`PROGRESS`] bytes, before it is given up.
const ATTEMPTS: u32 = 4;
const PROGRESS: u64 = 1 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Downloads the blob of a file, unless another process has done so meanwhile.
pub(crate) fn download(
    client: &Client,
    store: &Store,
    file: &Reference,
    head: &Head,
    listener: &mut Listener<'_>,
) -> Result<(), Error> {
    let _lock = store.lock(&head.etag, &mut || said(listener, Event::Waiting))?;
    let blob = store.blob(&head.etag);
    if blob.is_file() {
        return Ok(());
    }
    let (url, part) = (client.url(file), store.part(&head.etag));
    let resumed = length(&part) > 0;
    said(listener, Event::File { name: &file.path, bytes: head.bytes, present: length(&part) })?;
    bring(client, &url, head.bytes, &part, listener)?;
    match accept(&head.etag, &part, &url, listener) {
        // The part may have been another program's, or damaged since. Its content is gone with it.
        Err(Error::Damaged { .. }) if resumed => {
            tracing::warn!("{url}: what an earlier download left did not go with the rest; fetching all of it");
            said(listener, Event::File { name: &file.path, bytes: head.bytes, present: 0 })?;
            bring(client, &url, head.bytes, &part, listener)?;
            accept(&head.etag, &part, &url, listener)?;
        }
        accepted => accepted?,
    }
    let synced = File::open(&part).and_then(|f| f.sync_all()).and_then(|()| fs::rename(&part, &blob));
    synced.map_err(Error::io("finish", &blob))?;
    store.keep_checked(&head.etag, &blob);
    Ok(())
}

/// Lets a part pass whose content is right; a wrong one is removed.
fn accept(etag: &str, part: &Path, url: &str, listener: &mut Listener<'_>) -> Result<(), Error> {
    let Some((expected, found)) = check(etag, part, url, listener)? else { return Ok(()) };
    fs::remove_file(part).map_err(Error::io("remove", part))?;
    Err(Error::Damaged { url: url.into(), expected, found, path: part.into() })
}

/// Compares a file with its ETag, where that is a digest: what was expected and what was found, if they differ.
pub(crate) fn check(
    etag: &str,
    path: &Path,
    url: &str,
    listener: &mut Listener<'_>,
) -> Result<Option<(String, String)>, Error> {
    let Some(expected) = Expected::of_etag(etag) else {
        tracing::debug!("{url}: its ETag {etag} is no digest, so only its length was checked");
        return Ok(None);
    };
    let mut stopped = false;
    let mut on_read = || {
        stopped = said(listener, Event::Waiting).is_err();
        if stopped { Err(ErrorKind::Other.into()) } else { Ok(()) }
    };
    match expected.differs(path, &mut on_read) {
        Err(_) if stopped => Err(Error::Stopped),
        differs => differs.map_err(Error::io("read", path)),
    }
}

/// Makes `part` grow to its full length.
fn bring(
    client: &Client,
    url: &str,
    expected: Option<u64>,
    part: &Path,
    listener: &mut Listener<'_>,
) -> Result<(), Error> {
    let (mut failures, mut best) = (0, length(part));
    loop {
        let start = length(part);
        match expected {
            // Whatever is longer than the file is no beginning of it.
            Some(bytes) if start > bytes => fs::remove_file(part).map_err(Error::io("remove", part))?,
            Some(bytes) if start == bytes && part.is_file() => return Ok(()),
            _ => {}
        }
        let error = match stretch(client, url, expected, part, listener) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // The server does not know the place to go on from: begin anew.
        let is_past_end = matches!(error, Error::Status { status: 416, .. });
        if is_past_end && start > 0 {
            fs::remove_file(part).map_err(Error::io("remove", part))?;
        } else if !error.is_passing() {
            return Err(error);
        }
        failures = if length(part) > best + PROGRESS { 0 } else { failures + 1 };
        best = best.max(length(part));
        if failures == ATTEMPTS {
            return Err(error);
        }
        tracing::debug!("{error}; trying again");
        said(listener, Event::Waiting)?;
        std::thread::sleep(FIRST_WAIT * 2_u32.pow(failures));
    }
}

/// One request, and its bytes appended.
fn stretch(
    client: &Client,
    url: &str,
    expected: Option<u64>,
    part: &Path,
    listener: &mut Listener<'_>,
) -> Result<(), Error> {
    let mut stretch = client.get(url, length(part))?;
    if let (Some(expected), Some(total)) = (expected, stretch.total)
        && expected != total
    {
        let reason = format!("expected a file of {expected} bytes, the answer has {total}");
        return Err(Error::Answer { url: url.into(), reason });
    }
    let expected = expected.or(stretch.total);
    let mut options = File::options();
    options.create(true);
    // A server that knows no ranges begins anew.
    if stretch.start == 0 {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    let mut file = options.open(part).map_err(Error::io("open", part))?;
    said(listener, Event::At(stretch.start))?;
    let truncated = |found, reason: String| Err(Error::Truncated { url: url.into(), expected, found, reason });
    let mut found = stretch.start;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match stretch.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(Error::io("write", part))?;
                found += n as u64;
                said(listener, Event::At(found))?;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return truncated(found, format!(" ({e})")),
        }
    }
    match expected {
        Some(bytes) if found < bytes => truncated(found, String::new()),
        Some(bytes) if found > bytes => {
            fs::remove_file(part).map_err(Error::io("remove", part))?;
            let reason = format!("expected a file of {bytes} bytes, the answer has {found}");
            Err(Error::Answer { url: url.into(), reason })
        }
        _ => Ok(()),
    }
}

/// Bytes that are here; 0 where there is no file.
fn length(part: &Path) -> u64 {
    fs::metadata(part).map_or(0, |m| m.len())
}

/// Tells the listener, who may want to stop.
pub(crate) fn said(listener: &mut Listener<'_>, event: Event<'_>) -> Result<(), Error> {
    match listener(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Stopped),
    }
}
