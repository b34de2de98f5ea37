//! A hub on loopback: `resolve`, the list of files, redirects to another host for large files, ranges, and faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The commit that `main` is at, until a test says otherwise.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with a path.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The body ends after so many bytes of each answer, so many times.
    Truncate { after: usize, times: usize },
    /// The body does not say how long it is, and is cut or filled up to so many bytes in good order, so many times.
    Unmeasured { bytes: usize, times: usize },
    /// What is sent is of this length, and says so, whatever was announced before.
    OtherLength(usize),
    /// The bytes are others than the ETag says.
    WrongBytes,
    /// This status, so many times.
    Status { status: u16, times: usize },
    /// `Range` is passed over.
    NoRanges,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    /// By repository (`o/n`, `datasets/o/n`) and path: bytes, and whether they are in large file storage.
    files: BTreeMap<(String, String), (Vec<u8>, bool)>,
    commit: String,
    /// Where large files are, if not here.
    elsewhere: Option<String>,
    /// Large files by SHA-256, if this is the elsewhere.
    large: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    /// Repositories that were renamed.
    moved: BTreeMap<String, String>,
    /// The token that is asked for.
    token: Option<String>,
    requests: Vec<Request>,
}

pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { commit: COMMIT.into(), ..State::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A client that went away is what some tests are about.
                std::thread::spawn(move || stream.and_then(|stream| answer(stream, &shared)));
            }
        });
        Self { address, state, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A file in git itself.
    pub(crate) fn small(&self, repository: &str, path: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert((repository.into(), path.into()), (bytes.to_vec(), false));
    }

    /// A file in large file storage.
    pub(crate) fn large(&self, repository: &str, path: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert((repository.into(), path.into()), (bytes.to_vec(), true));
    }

    pub(crate) fn commit(&self, commit: &str) {
        self.state.lock().unwrap().commit = commit.into();
    }

    /// Gives a repository a new name: the old one redirects, within the hub.
    pub(crate) fn rename(&self, old: &str, new: &str) {
        self.state.lock().unwrap().moved.insert(format!("/{old}/"), format!("/{new}/"));
    }

    pub(crate) fn require_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.into());
    }

    /// Sends those who want large files to another host, and stores them there.
    pub(crate) fn large_files_at(&self, other: &Self) {
        let mut state = self.state.lock().unwrap();
        state.elsewhere = Some(other.url());
        let large = state.files.values().filter(|(_, is_large)| *is_large);
        other.state.lock().unwrap().large.extend(large.map(|(bytes, _)| (sha256(bytes), bytes.clone())));
    }

    /// Something that goes wrong with all addresses that end in `path`.
    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.insert(path.into(), fault);
    }

    pub(crate) fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The requests for bytes since the last call, with where they began.
    pub(crate) fn gets(&self) -> Vec<(String, Option<String>)> {
        let gets = self.requests().into_iter().filter(|r| r.method == "GET");
        gets.map(|r| (r.path.rsplit('/').next().unwrap().to_string(), r.range)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The name that git gives to a file's content.
pub(crate) fn git_name(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default().to_string(), words.next().unwrap_or_default().to_string());
    let mut headers = BTreeMap::new();
    for line in lines.by_ref() {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let (range, token) = (headers.get("range").cloned(), headers.get("authorization").cloned());
    let request = Request { method, path, range, token };
    let (head, body) = {
        let mut state = state.lock().unwrap();
        if request.method.is_empty() {
            return Ok(());
        }
        state.requests.push(request.clone());
        respond(&request, &mut state)
    };
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    if request.method == "GET" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// Head and body of the answer. Of a truncated one the body is shorter than its head says.
fn respond(request: &Request, state: &mut State) -> (String, Vec<u8>) {
    let bare = |status: u16, more: &str| {
        (format!("HTTP/1.1 {status} x\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"), Vec::new())
    };
    let wanted = state.token.as_ref().map(|t| format!("Bearer {t}"));
    if wanted.is_some() && request.token != wanted {
        return bare(401, "X-Error-Code: RepoNotFound\r\nX-Error-Message: Invalid username or password.\r\n");
    }
    if let Some((old, new)) = state.moved.iter().find(|(old, _)| request.path.contains(old.as_str())) {
        let location = format!("Location: {}\r\n", request.path.replace(old, new));
        return bare(307, &location);
    }
    let named = state.faults.keys().find(|path| request.path.ends_with(path.as_str())).cloned();
    let fault = named.as_ref().map(|n| state.faults[n].clone());
    if let Some(Fault::Status { status, times: 1.. }) = fault {
        spend(state, named.as_deref());
        return bare(status, "");
    }
    let path = request.path.split('?').next().unwrap().trim_start_matches('/').to_string();
    if let Some(name) = path.strip_prefix("large/") {
        let Some(bytes) = state.large.get(name).cloned() else { return bare(404, "") };
        return send(request, state, named.as_deref(), fault, &bytes, "");
    }
    if let Some(rest) = path.strip_prefix("api/") {
        let Some((repository, revision)) = rest.split_once("/revision/") else { return bare(404, "") };
        let repository = repository.trim_start_matches("models/");
        let files: Vec<_> = state.files.keys().filter(|(r, _)| r == repository).map(|(_, p)| p.clone()).collect();
        if files.is_empty() {
            return bare(404, "X-Error-Code: RepoNotFound\r\nX-Error-Message: Repository not found\r\n");
        }
        if revision != "main" && revision != state.commit {
            return bare(404, "X-Error-Code: RevisionNotFound\r\nX-Error-Message: Invalid rev id\r\n");
        }
        let files: Vec<_> = files.iter().map(|p| format!("{{\"rfilename\":\"{p}\"}}")).collect();
        let list = format!("{{\"sha\":\"{}\",\"siblings\":[{}]}}", state.commit, files.join(","));
        return send(request, state, None, None, list.as_bytes(), "Content-Type: application/json\r\n");
    }
    let Some((repository, rest)) = path.split_once("/resolve/") else { return bare(404, "") };
    let (revision, file) = rest.split_once('/').unwrap();
    if revision != "main" && revision != state.commit {
        return bare(404, "X-Error-Code: RevisionNotFound\r\nX-Error-Message: Invalid rev id\r\n");
    }
    let key = (repository.to_string(), file.replace("%20", " "));
    let Some((bytes, is_large)) = state.files.get(&key).cloned() else {
        return bare(404, "X-Error-Code: EntryNotFound\r\nX-Error-Message: Entry not found\r\n");
    };
    let commit = format!("X-Repo-Commit: {}\r\n", state.commit);
    if !is_large {
        let more = format!("{commit}ETag: \"{}\"\r\n", git_name(&bytes));
        return send(request, state, named.as_deref(), fault, &bytes, &more);
    }
    let sha = sha256(&bytes);
    let linked = format!("{commit}X-Linked-Etag: \"{sha}\"\r\nX-Linked-Size: {}\r\n", bytes.len());
    match &state.elsewhere {
        Some(base) => bare(
            302,
            &format!("{linked}ETag: \"of-the-redirect\"\r\nLocation: {base}/large/{sha}?signature=secret\r\n"),
        ),
        None => send(request, state, named.as_deref(), fault, &bytes, &format!("{linked}ETag: \"{sha}\"\r\n")),
    }
}

/// Counts a fault down.
fn spend(state: &mut State, named: Option<&str>) {
    if let Some(Fault::Status { times, .. } | Fault::Truncate { times, .. } | Fault::Unmeasured { times, .. }) =
        named.and_then(|n| state.faults.get_mut(n))
    {
        *times -= 1;
    }
}

fn send(
    request: &Request,
    state: &mut State,
    named: Option<&str>,
    fault: Option<Fault>,
    bytes: &[u8],
    more: &str,
) -> (String, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    if matches!(fault, Some(Fault::WrongBytes)) {
        bytes.iter_mut().for_each(|b| *b ^= 1);
    }
    if let Some(Fault::OtherLength(n)) = fault
        && request.method == "GET"
    {
        bytes.resize(n, 7);
    }
    let total = bytes.len();
    let from =
        request.range.as_ref().and_then(|r| r.strip_prefix("bytes=")?.trim_end_matches('-').parse::<usize>().ok());
    let from = from.filter(|_| !matches!(fault, Some(Fault::NoRanges)));
    let (status, start) = from.map_or((200, 0), |from| (206, from));
    if start > total || (start == total && total > 0) {
        let head = format!(
            "HTTP/1.1 416 x\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return (head, Vec::new());
    }
    let mut body = bytes[start..].to_vec();
    let range =
        if status == 206 { format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1) } else { String::new() };
    let head = |length: String| {
        format!("HTTP/1.1 {status} x\r\n{more}{range}Accept-Ranges: bytes\r\n{length}\r\nConnection: close\r\n\r\n")
    };
    if let Some(Fault::Unmeasured { bytes, times: 1.. }) = fault
        && request.method == "GET"
    {
        spend(state, named);
        body.resize(bytes, 7);
        let chunk = format!("{:x}\r\n", body.len()).into_bytes();
        return (head("Transfer-Encoding: chunked".into()), [chunk, body, b"\r\n0\r\n\r\n".to_vec()].concat());
    }
    let head = head(format!("Content-Length: {}", body.len()));
    if let Some(Fault::Truncate { after, times: 1.. }) = fault
        && request.method == "GET"
    {
        body.truncate(after);
        spend(state, named);
    }
    (head, body)
}
