//! Prompts → requests side by side → lines in the prompts' order.

use super::Request;
use super::client::Endpoint;
use super::wire::Choice;
use crate::data::{Prompt, PromptRow};
use crate::resumable::Resumable;
use crate::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// Prompts at most that are ahead of the first one without responses, for each request that runs: others wait for a slow
/// one, and what waits is lost by a kill.
const AHEAD: usize = 4;

/// A prompt's line. With `rewards`, as many, it is a row that training reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Served<'a> {
    /// As it was read.
    pub prompt: &'a Prompt,
    /// Texts as the server gave them.
    pub responses: Vec<String>,
    /// Sum of each response's log-probs, nats, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_probs: Option<Vec<f64>>,
    /// How many tokens those sums are over, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<usize>>,
    /// Why each ends, in the server's words; `null` where it does not say.
    pub finish_reasons: Vec<Option<String>>,
}

/// Responses to each prompt, a line a prompt, in their order; lines that `output` has already are passed over.
///
/// `concurrency` requests run at once. `advance` is called with the number of lines after each.
///
/// # Errors
/// A prompt cannot be read; the server refuses a request, or fails too often; see also [`Resumable::push`]. Lines before
/// the first prompt without responses are written.
pub fn endpoint_rows(
    endpoint: &Endpoint,
    request: &Request,
    prompts: impl Iterator<Item = Result<PromptRow>>,
    concurrency: usize,
    output: &mut Resumable,
    mut advance: impl FnMut(usize),
) -> Result<()> {
    if concurrency == 0 {
        return Err(Error::new(ErrorKind::Option, "`concurrency` is 0; it is at least 1"));
    }
    let over = AtomicBool::new(false);
    let (give, take) = mpsc::channel::<(usize, PromptRow)>();
    let (answer, answers) = mpsc::channel();
    let take = Mutex::new(take);
    std::thread::scope(|scope| {
        for _ in 0..concurrency {
            let (take, answer, over) = (&take, answer.clone(), &over);
            scope.spawn(move || {
                loop {
                    let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((index, row)) = next else { return };
                    let responses = endpoint.responses(request, &row, over);
                    if answer.send((index, row, responses)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(answer);
        let mut lines = Lines { output, request, over: &over, waiting: BTreeMap::new() };
        let written = lines.write(prompts, concurrency * AHEAD, &give, &answers, &mut advance);
        over.store(true, Ordering::Relaxed);
        drop(give);
        written
    })
}

type Answer = (usize, PromptRow, Result<Option<Vec<Choice>>>);

/// The output, and what cannot be written yet.
struct Lines<'a> {
    output: &'a mut Resumable,
    request: &'a Request,
    /// Set where something failed: requests that run are waited for, those that failed or were not begun are not sent.
    over: &'a AtomicBool,
    waiting: BTreeMap<usize, (PromptRow, Vec<Choice>)>,
}

impl Lines<'_> {
    fn write(
        &mut self,
        prompts: impl Iterator<Item = Result<PromptRow>>,
        ahead: usize,
        give: &mpsc::Sender<(usize, PromptRow)>,
        answers: &mpsc::Receiver<Answer>,
        advance: &mut impl FnMut(usize),
    ) -> Result<()> {
        let mut prompts = (0..).zip(prompts).skip(self.output.done());
        let mut asked = self.output.done();
        let mut answered = asked;
        let mut failure = None;
        loop {
            while failure.is_none() && asked < self.output.done() + ahead {
                match prompts.next() {
                    None => break,
                    Some((_, Err(error))) => failure = self.fail(failure, error),
                    Some((index, Ok(row))) => {
                        // The threads end after this end of the channel.
                        let _ = give.send((index, row));
                        asked += 1;
                    }
                }
            }
            if answered == asked {
                return failure.map_or(Ok(()), Err);
            }
            let Ok((index, row, responses)) = answers.recv() else {
                return Err(Error::new(ErrorKind::Endpoint, "a thread that sends requests ended"));
            };
            answered += 1;
            match responses {
                Err(error) => failure = self.fail(failure, error),
                Ok(None) => {}
                Ok(Some(choices)) => {
                    self.waiting.insert(index, (row, choices));
                }
            }
            while let Some((row, choices)) = self.waiting.remove(&self.output.done()) {
                self.output.push(&line(&row, choices, self.request.logprobs))?;
                advance(self.output.done());
            }
        }
    }

    /// The first failure is the one that is told.
    fn fail(&self, before: Option<Error>, now: Error) -> Option<Error> {
        self.over.store(true, Ordering::Relaxed);
        before.or(Some(now))
    }
}

fn line(row: &PromptRow, choices: Vec<Choice>, logprobs: bool) -> Served<'_> {
    let log_probs: Vec<(f64, usize)> = choices.iter().filter_map(|choice| choice.log_prob).collect();
    let (log_probs, tokens) = log_probs.into_iter().unzip();
    let finish_reasons = choices.iter().map(|choice| choice.finish_reason.clone()).collect();
    Served {
        prompt: &row.prompt,
        responses: choices.into_iter().map(|choice| choice.text).collect(),
        log_probs: Some(log_probs).filter(|_| logprobs),
        tokens: Some(tokens).filter(|_| logprobs),
        finish_reasons,
    }
}
