//! One server: requests, and what becomes of those that fail.

use super::Request;
use super::key::ApiKey;
use super::retries::{Retries, retry_after, sleep};
use super::wire::{self, Choice};
use crate::data::PromptRow;
use crate::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;

/// Bytes of an answer at most.
const LONGEST_ANSWER: u64 = 256 << 20;

/// A server.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: String,
    key: Option<ApiKey>,
    retries: Retries,
    agent: Agent,
}

/// What came of one request.
enum Outcome {
    Choices(Vec<Choice>),
    /// Another time it may go well.
    Failed {
        why: String,
        asked_for: Option<Duration>,
    },
    /// It will not.
    Refused(String),
}

impl Endpoint {
    /// A server's URL: `http://host:8000/v1`, or without a path, which is `/v1` then. `timeout` is for a whole request.
    ///
    /// # Errors
    /// The URL is not one of `http` (or, where it is built in, `https`), or holds a user, a query or a fragment: a key
    /// does not belong in it, because the URL is printed.
    pub fn new(url: &str, key: Option<ApiKey>, timeout: Duration, retries: Retries) -> Result<Self> {
        // Not even in an error, in case the key stands in it.
        let refused = |message: &str| Err(Error::new(ErrorKind::Option, format!("`endpoint`: {message}")));
        let (scheme, rest) = url.trim().split_once("://").unwrap_or(("", ""));
        let rest = rest.trim_end_matches('/');
        if rest.contains(['@', '?', '#']) {
            return refused("the URL holds a user, a query or a fragment; the key is read from the environment");
        }
        match scheme {
            "https" if !cfg!(feature = "https") => {
                return refused(
                    "this program is built without `https`; build it with `--features https`, or name an http URL",
                );
            }
            "http" | "https" => {}
            _ => return refused("the URL begins with neither http:// nor https://"),
        }
        if rest.is_empty() || rest.starts_with('/') || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refused("the URL names no host");
        }
        let path = if rest.contains('/') { "" } else { "/v1" };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(256)
            .max_idle_connections(256)
            .user_agent(concat!("hps/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Endpoint { url: format!("{scheme}://{rest}{path}"), key, retries, agent: config.into() })
    }

    /// Where requests go, less their last parts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A prompt's responses; `None` where the run is `over` before they are there.
    pub(super) fn responses(
        &self,
        request: &Request,
        row: &PromptRow,
        over: &AtomicBool,
    ) -> Result<Option<Vec<Choice>>> {
        let mut all: Vec<Choice> = Vec::with_capacity(request.n);
        while all.len() < request.n {
            let count = (request.n - all.len()).min(request.n_per_request.max(1));
            let Some(more) = self.choices(request, row, all.len(), count, over)? else { return Ok(None) };
            // A server may give more than it was asked for; the rest was not asked for.
            all.extend(more.into_iter().take(count));
        }
        Ok(Some(all))
    }

    /// At least one and at most `count` responses, the prompt's from number `first` on.
    fn choices(
        &self,
        request: &Request,
        row: &PromptRow,
        first: usize,
        count: usize,
        over: &AtomicBool,
    ) -> Result<Option<Vec<Choice>>> {
        let url = format!("{}{}", self.url, wire::path(&row.prompt));
        let body = wire::body(request, row.id, &row.prompt, first, count).to_string();
        let mut failures = 0;
        loop {
            if over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (why, asked_for) = match self.send(&url, &body, request) {
                Outcome::Choices(choices) => return Ok(Some(choices)),
                Outcome::Refused(why) => return Err(self.failed(row, &url, &why)),
                Outcome::Failed { why, asked_for } => (why, asked_for),
            };
            if failures == self.retries.max_retries {
                let times = if failures == 0 { "once".into() } else { format!("{} times", failures + 1) };
                return Err(self.failed(row, &url, &format!("was asked {times}; {why}")));
            }
            sleep(self.retries.pause(failures, [row.id, first as u32], asked_for), over);
            failures += 1;
        }
    }

    fn failed(&self, row: &PromptRow, url: &str, why: &str) -> Error {
        Error::new(ErrorKind::Endpoint, self.hide(&format!("{url} {why}"))).at(&row.place)
    }

    fn send(&self, url: &str, body: &str, request: &Request) -> Outcome {
        let mut post = self.agent.post(url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            post = post.header("authorization", key.header());
        }
        let response = match post.send(body) {
            Ok(response) => response,
            Err(error) => return failure(&error),
        };
        let status = response.status().as_u16();
        let asked_for = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        let bytes = match response.into_body().into_with_config().limit(LONGEST_ANSWER).read_to_vec() {
            Ok(bytes) => bytes,
            Err(error) => return failure(&error),
        };
        // The key is hidden before the text is cut, which might leave a part of it.
        let said = || wire::said(self.hide(&String::from_utf8_lossy(&bytes)).as_bytes());
        match status {
            200..300 => match wire::choices(&bytes, request) {
                Ok(choices) => Outcome::Choices(choices),
                Err(why) => Outcome::Failed { why, asked_for },
            },
            408 | 409 | 425 | 429 | 500.. => {
                Outcome::Failed { why: format!("answers {status} and says: {}", said()), asked_for }
            }
            _ => Outcome::Refused(format!("answers {status} and says: {}", said())),
        }
    }

    fn hide(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_string(), |key| key.hide(text))
    }
}

fn failure(error: &ureq::Error) -> Outcome {
    use ureq::Error as E;
    let why = format!("does not answer: {error}");
    match error {
        E::BadUri(_) | E::Http(_) | E::InvalidProxyUrl | E::BodyExceedsLimit(_) | E::Tls(_) => Outcome::Refused(why),
        _ => Outcome::Failed { why, asked_for: None },
    }
}
