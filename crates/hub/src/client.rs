//! HTTP with a hub: what a file is, which files there are, and the bytes from some place on.
//!
//! Redirects are followed here and not by `ureq`: a hub sends those who want a large file to another host, which must
//! not see the token, and what the file is stands in the answer before the redirect.

use std::io::Read;
use std::time::Duration;

use hf_hub::api::RepoInfo;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::environment::read_whole;
use crate::location::is_path;
use crate::{Environment, Error, Reference};

const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte for so long, a transfer counts as dead.
const SILENCE: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
/// Requests that end in a passing failure are made so often.
const ATTEMPTS: u32 = 3;
/// Longest list of files that is read, in bytes.
const MAX_LISTING: u64 = 256 << 20;

/// One hub, and as whom it is asked.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// What a hub says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) commit: String,
    pub(crate) etag: String,
    pub(crate) bytes: Option<u64>,
}

/// The bytes of a file, from `start` on.
pub(crate) struct Stretch {
    pub(crate) start: u64,
    /// Length of the whole file, where the answer says so.
    pub(crate) total: Option<u64>,
    pub(crate) body: Box<dyn Read>,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Head,
    Get { from: u64 },
}

impl Client {
    pub(crate) fn new(environment: &Environment) -> Result<Self, Error> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &environment.certificates {
            let pem = read_whole(path).map_err(Error::io("read the certificates (SSL_CERT_FILE)", path))?;
            let items = ureq::tls::parse_pem(&pem).flatten();
            let certificates = items.filter_map(|item| match item {
                ureq::tls::PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            let certificates: Vec<Certificate<'static>> = certificates.collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("headstart/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().into(),
            endpoint: environment.endpoint.clone(),
            token: environment.token.clone(),
        })
    }

    /// The address of a file.
    pub(crate) fn url(&self, file: &Reference) -> String {
        let repo = file.repo();
        format!("{}/{}/resolve/{}/{}", self.endpoint, repo.url(), repo.url_revision(), encoded(&file.path))
    }

    /// What a file is, without its bytes.
    pub(crate) fn head(&self, file: &Reference) -> Result<Head, Error> {
        let url = self.url(file);
        patiently(|| {
            let (mut commit, mut linked, mut etag, mut bytes) = (None, None, None, None);
            self.send(Method::Head, &url, &mut |response| {
                let header = |name: &str| text(response, name);
                let etag_here = header("x-linked-etag");
                commit = commit.take().or(header("x-repo-commit"));
                etag = header("etag").or(etag.take());
                linked = linked.take().or(etag_here);
                // A redirect's own length is that of a page that says so.
                let length = if response.status().is_redirection() { None } else { header("content-length") };
                bytes = header("x-linked-size").or(length).and_then(|n| n.parse().ok()).or(bytes);
            })?;
            let answer = |reason: &str| Error::Answer { url: url.clone(), reason: reason.into() };
            let commit = commit.ok_or_else(|| answer("the answer has no X-Repo-Commit"))?;
            let etag = linked.or(etag).ok_or_else(|| answer("the answer has no ETag"))?;
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_string();
            if !is_name(&commit) || !is_name(&etag) {
                return Err(answer("its X-Repo-Commit or ETag is neither a digest nor a plain word"));
            }
            Ok(Head { commit, etag, bytes })
        })
    }

    /// The commit that a revision is at, and all its files.
    pub(crate) fn list(&self, repository: &Reference) -> Result<(String, Vec<String>), Error> {
        let url = format!("{}/api/{}", self.endpoint, repository.repo().api_url());
        patiently(|| {
            let mut response = self.send(Method::Get { from: 0 }, &url, &mut |_| {})?;
            let answer = |reason: String| Error::Answer { url: url.clone(), reason };
            let body = response.body_mut().with_config().limit(MAX_LISTING);
            let list: RepoInfo = body.read_json().map_err(|e| answer(format!("expected a list of files ({e})")))?;
            let mut files: Vec<String> = list.siblings.into_iter().map(|f| f.rfilename).collect();
            files.sort();
            if !is_name(&list.sha) || files.iter().any(|f| !is_path(f) || f.contains('\n')) {
                return Err(answer("the list has names that are no paths".into()));
            }
            Ok((list.sha, files))
        })
    }

    /// The bytes of a file from `from` on, or from its beginning where the server gives nothing else.
    pub(crate) fn get(&self, url: &str, from: u64) -> Result<Stretch, Error> {
        let response = self.send(Method::Get { from }, url, &mut |_| {})?;
        let number = |text: Option<String>| text.and_then(|t| t.parse::<u64>().ok());
        let (start, total) = if response.status() == 206 {
            let range = text(&response, "content-range").unwrap_or_default();
            let parts = range.strip_prefix("bytes ").and_then(|r| r.split_once('/'));
            let start = parts.and_then(|(r, _)| r.split_once('-')).and_then(|(start, _)| start.parse().ok());
            let total = parts.and_then(|(_, total)| total.parse().ok());
            (start.filter(|s| *s == from), total)
        } else {
            (Some(0), number(text(&response, "content-length")))
        };
        let Some(start) = start else {
            let reason = format!("asked for the bytes from {from} on, the answer gives others");
            return Err(Error::Answer { url: url.into(), reason });
        };
        Ok(Stretch { start, total, body: Box::new(response.into_body().into_reader()) })
    }

    /// Sends a request and follows its redirects; `see` is called with every answer. Of HEAD those within the hub are
    /// followed, the one that leads away is the answer.
    fn send(&self, method: Method, url: &str, see: &mut dyn FnMut(&Response<Body>)) -> Result<Response<Body>, Error> {
        let mut at = url.to_string();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(method, &at)?;
            see(&response);
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.good(response, &at);
            }
            let next = text(&response, "location").and_then(|to| joined(&at, &to));
            let answer = || Error::Answer { url: at.clone(), reason: format!("{status} without a place to go to") };
            let next = next.ok_or_else(answer)?;
            if matches!(method, Method::Head) && !self.is_hub(&next) {
                return Ok(response);
            }
            at = next;
        }
        Err(Error::Answer { url: url.into(), reason: format!("more than {MAX_REDIRECTS} redirects") })
    }

    fn send_once(&self, method: Method, url: &str) -> Result<Response<Body>, Error> {
        let mut request = match method {
            Method::Head => self.agent.head(url),
            Method::Get { .. } => self.agent.get(url),
        };
        // Compressed on the way, lengths would be those of something else.
        request = request.header("Accept-Encoding", "identity");
        if let Method::Get { from: from @ 1.. } = method {
            request = request.header("Range", format!("bytes={from}-"));
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_hub(url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Error::Answer { url: url.into(), reason: format!("this is no address: {error}") }
            }
            _ => Error::Unreachable { url: shown(url), reason: error.to_string() },
        })
    }

    /// Whether an address is the hub's own: only there goes the token.
    fn is_hub(&self, url: &str) -> bool {
        origin(url).is_some_and(|o| Some(o) == origin(&self.endpoint))
    }

    fn good(&self, response: Response<Body>, url: &str) -> Result<Response<Body>, Error> {
        let status = response.status().as_u16();
        let said = text(&response, "x-error-message").map_or(String::new(), |said| {
            let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
            format!(": {said}")
        });
        let url = shown(url);
        match status {
            200..=299 => Ok(response),
            401 | 403 => Err(Error::Refused { url, status, said, has_token: self.token.is_some() }),
            404 | 410 => Err(Error::NotFound { url, status, said }),
            _ => Err(Error::Status { url, status, said }),
        }
    }
}

/// Makes a request again when it failed for a reason that passes. A host that nobody finds does not come up in a
/// second, and machines without a network should not wait.
fn patiently<T>(mut request: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut failures = 0;
    loop {
        match request() {
            Err(error) if matches!(error, Error::Status { .. }) && error.is_passing() && failures + 1 < ATTEMPTS => {
                tracing::debug!("{error}; asking again");
                std::thread::sleep(Duration::from_millis(300) * 2_u32.pow(failures));
                failures += 1;
            }
            done => return done,
        }
    }
}

fn text(response: &Response<Body>, header: &str) -> Option<String> {
    response.headers().get(header)?.to_str().ok().map(str::to_string)
}

/// A plain word that can be the name of a file.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    (1..=128).contains(&text.len()) && text.chars().all(is_plain) && !text.starts_with('.')
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// Where a redirect leads to.
fn joined(from: &str, to: &str) -> Option<String> {
    if to.contains("://") {
        return Some(to.to_string());
    }
    let uri: Uri = from.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    if let Some(rest) = to.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if to.starts_with('/') { to.to_string() } else { format!("{folder}/{to}") };
    Some(format!("{scheme}://{authority}{path}"))
}

/// An address without its query, which may be a signature that opens the file for anyone.
fn shown(url: &str) -> String {
    url.split_once('?').map_or(url, |(front, _)| front).to_string()
}

/// A path as it stands in an address.
fn encoded(path: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/!$&'()*+,;=:@".contains(&b);
    path.bytes().map(|b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from = "http://hub:81/a/b?x=1";
        for (to, expected) in [
            ("https://cdn/x?y", "https://cdn/x?y"),
            ("//cdn/x", "http://cdn/x"),
            ("/c/d?e", "http://hub:81/c/d?e"),
            ("d", "http://hub:81/a/d"),
        ] {
            assert_eq!(joined(from, to).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("HTTPS://Hub/x"), origin("https://hub:443"));
        for other in ["http://hub/", "https://hub:444/", "https://hub.evil/", "https://evil/hub"] {
            assert_ne!(origin(other), origin("https://hub"), "{other}");
        }
    }

    #[test]
    fn odd_names_are_encoded_and_signatures_not_shown() {
        assert_eq!(encoded("a b/ü#?.onnx"), "a%20b/%C3%BC%23%3F.onnx");
        assert_eq!(shown("http://cdn/x?Signature=s"), "http://cdn/x");
        assert!(is_name("0af3") && !is_name("../x") && !is_name(".x") && !is_name("a/b") && !is_name(""));
    }
}
