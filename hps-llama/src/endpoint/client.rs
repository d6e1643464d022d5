//! One server: requests, and what becomes of those that fail.

use super::answer::{self, Choice, Given, NoAnswer};
use super::key::ApiKey;
use super::retries::{Pause, Retries, retry_after, sleep};
use super::{MaxTokensField, Request, Unusable, wire};
use crate::data::PromptRow;
use crate::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;

/// Bytes of an answer at most.
const LONGEST_ANSWER: u64 = 256 << 20;
/// How long a request may be given; longer is no time a clock can be asked for.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(366 * 86_400);

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
    Choices(Vec<Given>),
    /// Another time it may go well.
    Failed {
        why: String,
        asked_for: Option<Duration>,
    },
    /// It will not.
    Refused(String),
}

/// One prompt's requests.
pub(super) struct Asking<'a> {
    pub(super) request: &'a Request,
    pub(super) row: &'a PromptRow,
    /// Whether the run is over: nothing more is sent.
    pub(super) over: &'a AtomicBool,
    /// Told of pauses that are long.
    pub(super) pauses: &'a dyn Fn(Pause),
}

impl Endpoint {
    /// A server's URL: `http://host:8000/v1`, or without a path, which is `/v1` then. `timeout` is for a whole request.
    ///
    /// # Errors
    /// The URL is not one of `http` (or, where it is built in, `https`), or holds a user, a query, a fragment or the
    /// key, which does not belong in it, because the URL is printed. The timeout is 0 or longer than a year.
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
        if key.as_ref().is_some_and(|key| key.is_in(rest)) {
            return refused("the URL holds the key, or a part of it");
        }
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            let (given, most) = (timeout.as_secs_f64(), LONGEST_TIMEOUT.as_secs());
            let message = format!("`timeout` is {given}; it is above 0 and at most {most} seconds");
            return Err(Error::new(ErrorKind::Option, message));
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

    /// A prompt's choices, without the key; `None` where the run is over before they are there.
    pub(super) fn choices(&self, asking: &Asking<'_>) -> Result<Option<Vec<Given>>> {
        let request = asking.request;
        let url = format!("{}{}", self.url, wire::path(&asking.row.prompt));
        let mut all = Vec::new();
        while all.len() < request.n {
            let count = (request.n - all.len()).min(request.n_per_request);
            let Some(more) = self.some_choices(asking, &url, all.len(), count)? else { return Ok(None) };
            // A server may give more than it was asked for; the rest was not asked for.
            for given in more.into_iter().take(count) {
                all.push(self.expect_usable(asking, &url, all.len(), given)?);
            }
        }
        Ok(Some(all))
    }

    /// At least one choice and mostly `count`, the prompt's from number `first` on.
    fn some_choices(&self, asking: &Asking<'_>, url: &str, first: usize, count: usize) -> Result<Option<Vec<Given>>> {
        let Asking { request, row, over, .. } = asking;
        let body = wire::body(request, row.id, &row.prompt, first, count).to_string();
        let mut failures = 0;
        loop {
            if over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (why, asked_for) = match self.send(url, &body, request, count) {
                Outcome::Choices(choices) => return Ok(Some(choices)),
                Outcome::Refused(why) => return Err(self.failed(row, url, &why)),
                Outcome::Failed { why, asked_for } => (why, asked_for),
            };
            if failures == self.retries.max_retries {
                let times = if failures == 0 { "once".into() } else { format!("{} times", failures + 1) };
                return Err(self.failed(row, url, &format!("was asked {times}; {why}")));
            }
            let length = self.retries.pause(failures, [row.id, first as u32], asked_for);
            let why = format!("{url} {}", self.hide_parts(&why));
            let pause = Pause { place: row.place.clone(), length, asked_for, why };
            if pause.is_long() {
                (asking.pauses)(pause);
            }
            sleep(length, over);
            failures += 1;
        }
    }

    /// The choice without the key in it; an error where it is no response and that is to be one.
    fn expect_usable(&self, asking: &Asking<'_>, url: &str, number: usize, given: Given) -> Result<Given> {
        let hide = |text: String| match &self.key {
            Some(key) => key.hide(text),
            None => text,
        };
        match given {
            Ok(Choice { text, finish_reason, log_prob }) => {
                Ok(Ok(Choice { text: hide(text), finish_reason: finish_reason.map(hide), log_prob }))
            }
            Err(none) if asking.request.unusable == Unusable::Drop => Ok(Err(none)),
            Err(none) => {
                let words = none.words.map(|words| format!(" that says: {}", self.said(&words))).unwrap_or_default();
                let one = none.reason.one();
                let why = format!("gives {one}{words} (response {number}); `--unusable drop` leaves such out");
                Err(self.failed(asking.row, url, &why))
            }
        }
    }

    fn failed(&self, row: &PromptRow, url: &str, why: &str) -> Error {
        Error::new(ErrorKind::Endpoint, format!("{url} {}", self.hide_parts(why))).at(&row.place)
    }

    fn send(&self, url: &str, body: &str, request: &Request, count: usize) -> Outcome {
        let mut post = self.agent.post(url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            post = post.header("authorization", key.header());
        }
        let response = match post.send(body) {
            Ok(response) => response,
            Err(error) => return self.failure(&error),
        };
        let status = response.status().as_u16();
        let header =
            |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let date = header("date");
        let asked_for = header("retry-after").and_then(|value| retry_after(&value, date.as_deref()));
        let (location, encoding) = (header("location"), header("content-encoding"));
        let bytes = match response.into_body().into_with_config().limit(LONGEST_ANSWER).read_to_vec() {
            Ok(bytes) => bytes,
            Err(error) => return self.failure(&error),
        };
        let text = || String::from_utf8_lossy(&bytes);
        match (status, location) {
            (200..300, _) => match answer::choices(&bytes, request, count) {
                Ok(choices) => Outcome::Choices(choices),
                Err(NoAnswer::Malformed(why)) => {
                    let why = format!("the answer cannot be used ({}): {}", self.said(&why), self.said(&text()));
                    Outcome::Failed { why, asked_for }
                }
                Err(NoAnswer::NotJson(why)) => {
                    let why = match encoding {
                        None => why,
                        Some(encoding) => {
                            format!("its `content-encoding` is {}, which is not read", self.said(&encoding))
                        }
                    };
                    let why = format!("answers {status} with what is not JSON ({why}): {}", self.said(&text()));
                    Outcome::Failed { why, asked_for }
                }
                Err(NoAnswer::Error(None, words)) => {
                    self.refusal(500, &format!("answers {status}"), &words, asked_for, request)
                }
                Err(NoAnswer::Error(Some(code), words)) => {
                    self.refusal(code, &format!("answers {status} with error {code}"), &words, asked_for, request)
                }
            },
            (300..400, Some(location)) => {
                let location = self.said(&location);
                Outcome::Refused(format!("answers {status}: go to {location}; redirects are not followed"))
            }
            _ => {
                let words = crate::json::parse(&bytes).ok().and_then(|value| answer::message(&value));
                let words = words.unwrap_or_else(|| text().into_owned());
                self.refusal(status, &format!("answers {status}"), &words, asked_for, request)
            }
        }
    }

    /// What an error of a status means, in the words of the server.
    fn refusal(
        &self,
        status: u16,
        answers: &str,
        words: &str,
        asked_for: Option<Duration>,
        request: &Request,
    ) -> Outcome {
        // Here servers repeat the key, often with a part of it as stars.
        if matches!(status, 401 | 403) {
            let key = if self.key.is_some() { "to the key that was sent" } else { "and no key was sent" };
            return Outcome::Refused(format!("{answers} {key}; what it says is not shown, as it may repeat a key"));
        }
        let mut why = format!("{answers} and says: {}", self.said(words));
        if matches!(status, 408 | 409 | 425 | 429 | 500..) {
            return Outcome::Failed { why, asked_for };
        }
        let other = MaxTokensField::MaxCompletionTokens.name();
        if request.max_tokens_field == MaxTokensField::MaxTokens && words.contains(other) {
            why = format!("{why}; `--max_tokens_field {other}` sends that");
        }
        Outcome::Refused(why)
    }

    /// What a server says, in one short line without the key.
    fn said(&self, words: &str) -> String {
        const LONGEST: usize = 300;
        // The key is hidden before the line is cut, which might leave less of it than is known as a part.
        let begins: String = words.chars().take(16 * LONGEST).collect();
        let line = self.hide_parts(&begins).split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None if line.is_empty() => "nothing".into(),
            None => line,
        }
    }

    fn hide_parts(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_string(), |key| key.hide_parts(text))
    }

    /// What an answer that does not come means.
    fn failure(&self, error: &ureq::Error) -> Outcome {
        use ureq::Error as E;
        let why = format!("does not answer: {}", self.said(&error.to_string()));
        match error {
            E::BadUri(_) | E::Http(_) | E::InvalidProxyUrl | E::BodyExceedsLimit(_) | E::Tls(_) => {
                Outcome::Refused(why)
            }
            _ => Outcome::Failed { why, asked_for: None },
        }
    }
}
