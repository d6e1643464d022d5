//! Prompts → requests side by side → lines in the prompts' order.

use super::Request;
use super::answer::Given;
use super::client::{Asking, Endpoint};
use super::left_out::LeftOut;
use super::retries::Pause;
use crate::data::{Prompt, PromptRow};
use crate::resumable::Resumable;
use crate::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// Prompts at most that are ahead of the first one without responses, for each request that runs: others wait for a
/// slow one, and what waits is lost by a kill.
const AHEAD: usize = 4;

/// A prompt's line. With `rewards`, as many, it is a row that training reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Served<'a> {
    /// As it was read.
    pub prompt: &'a Prompt,
    /// Texts as the server gave them: as many as were asked for, less what was left out. All of a prompt's may be.
    /// Where one repeats a secret key it has `[key]`: see [`ApiKey`](super::ApiKey).
    pub responses: Vec<String>,
    /// Sum of each response's log-probs, nats, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_probs: Option<Vec<f64>>,
    /// How many tokens those sums are over, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<usize>>,
    /// Why each ends, in the server's words; `null` where it does not say.
    pub finish_reasons: Vec<Option<String>>,
    /// How many choices were no responses, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<LeftOut, usize>,
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many lines are written.
    Lines(usize),
    /// A request waits for more than a moment.
    Pause(Pause),
}

/// Responses to each prompt, a line a prompt, in their order; lines that `output` has already are passed over.
///
/// `concurrency` requests run at once. `progress` is called after each line, and where a request waits.
///
/// # Errors
/// An option is out of its range ([`Request::check`]); a prompt cannot be read; the server refuses a request, or fails
/// too often; a choice is no response and that is to be an error; see also [`Resumable::push`]. Lines before the first
/// prompt that fails are written.
pub fn endpoint_rows(
    endpoint: &Endpoint,
    request: &Request,
    prompts: impl Iterator<Item = Result<PromptRow>>,
    concurrency: usize,
    output: &mut Resumable,
    mut progress: impl FnMut(Progress),
) -> Result<()> {
    if concurrency == 0 {
        return Err(Error::new(ErrorKind::Option, "`concurrency` is 0; it is at least 1"));
    }
    request.check()?;
    let over = AtomicBool::new(false);
    let (give, take) = mpsc::channel::<(usize, PromptRow)>();
    let (answer, answers) = mpsc::channel();
    let take = Mutex::new(take);
    std::thread::scope(|scope| {
        for number in 0..concurrency {
            let (take, answer, over) = (&take, answer.clone(), &over);
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                loop {
                    let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((index, row)) = next else { return };
                    // The other end is gone where the run is over.
                    let pauses = |pause| drop(answer.send(News::Pause(pause)));
                    let choices = endpoint.choices(&Asking { request, row: &row, over, pauses: &pauses });
                    if answer.send(News::Answer(index, row, choices)).is_err() {
                        return;
                    }
                }
            });
            if let Err(source) = thread {
                // Those that run end with this end of the channel.
                drop(give);
                let message = format!("`concurrency` is {concurrency}; after {number} threads there is no other");
                return Err(Error::new(ErrorKind::Option, message).because(source));
            }
        }
        drop(answer);
        let mut lines = Lines { output, request, over: &over, waiting: BTreeMap::new() };
        let written = lines.write(prompts, concurrency * AHEAD, &give, &answers, &mut progress);
        over.store(true, Ordering::Relaxed);
        drop(give);
        written
    })
}

/// What a thread has to say.
enum News {
    Answer(usize, PromptRow, Result<Option<Vec<Given>>>),
    Pause(Pause),
}

/// The output, and what cannot be written yet.
struct Lines<'a> {
    output: &'a mut Resumable,
    request: &'a Request,
    /// Set where something failed: requests that run are waited for, those that failed or were not begun are not sent.
    over: &'a AtomicBool,
    waiting: BTreeMap<usize, (PromptRow, Vec<Given>)>,
}

impl Lines<'_> {
    fn write(
        &mut self,
        prompts: impl Iterator<Item = Result<PromptRow>>,
        ahead: usize,
        give: &mpsc::Sender<(usize, PromptRow)>,
        answers: &mpsc::Receiver<News>,
        progress: &mut impl FnMut(Progress),
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
            let (index, row, choices) = match answers.recv() {
                Ok(News::Answer(index, row, choices)) => (index, row, choices),
                Ok(News::Pause(pause)) => {
                    progress(Progress::Pause(pause));
                    continue;
                }
                Err(_) => return Err(Error::new(ErrorKind::Endpoint, "a thread that sends requests ended")),
            };
            answered += 1;
            match choices {
                Err(error) => failure = self.fail(failure, error),
                Ok(None) => {}
                Ok(Some(choices)) => {
                    self.waiting.insert(index, (row, choices));
                }
            }
            while let Some((row, choices)) = self.waiting.remove(&self.output.done()) {
                self.output.push(&line(&row, choices, self.request.logprobs))?;
                progress(Progress::Lines(self.output.done()));
            }
        }
    }

    /// The first failure is the one that is told.
    fn fail(&self, before: Option<Error>, now: Error) -> Option<Error> {
        self.over.store(true, Ordering::Relaxed);
        before.or(Some(now))
    }
}

fn line(row: &PromptRow, given: Vec<Given>, logprobs: bool) -> Served<'_> {
    let mut served = Served {
        prompt: &row.prompt,
        responses: Vec::with_capacity(given.len()),
        log_probs: logprobs.then(Vec::new),
        tokens: logprobs.then(Vec::new),
        finish_reasons: Vec::with_capacity(given.len()),
        left_out: BTreeMap::new(),
    };
    for choice in given {
        match choice {
            Ok(choice) => {
                served.responses.push(choice.text);
                served.finish_reasons.push(choice.finish_reason);
                let (log_prob, tokens) = choice.log_prob.unzip();
                served.log_probs.iter_mut().for_each(|all| all.extend(log_prob));
                served.tokens.iter_mut().for_each(|all| all.extend(tokens));
            }
            Err(none) => *served.left_out.entry(none.reason).or_default() += 1,
        }
    }
    served
}
