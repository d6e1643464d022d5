//! Prompts: a matter (who wants what with which thing, and why) put into words as chat messages.
//!
//! A *matter* is topic × task × thing × qualifier × detail. Held-out prompts have matters of their own: every wording
//! of a matter is on the same side, so a held-out prompt is new in substance, not only in phrasing.

use serde::Serialize;

use super::draws::{Draws, text_key};
use super::everyday::EVERYDAY;
use super::misdeeds::MISDEEDS;
use super::speech;
use super::topic::{Detail, Task, Topic};

/// What a prompt puts to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// An everyday task, asked over three turns.
    Helpfulness,
    /// A misdeed, asked in one turn.
    Safety,
}

/// The two sides that never share a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Seven matters in eight.
    Train,
    /// One matter in eight.
    HeldOut,
}

/// One chat message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Message {
    /// "user" or "assistant".
    pub role: &'static str,
    /// The text.
    pub content: String,
}

/// A conversation that ends in a user turn.
#[derive(Clone, Debug)]
pub struct Prompt {
    style: Style,
    topic: &'static Topic,
    task: &'static Task,
    detail: &'static Detail,
    subject: String,
    messages: Vec<Message>,
}

impl Prompt {
    /// Draws a prompt of this style and split.
    pub fn drawn(style: Style, split: Split, draws: &mut Draws) -> Self {
        loop {
            let topic = draws.pick(style.topics());
            let task = draws.pick(topic.tasks);
            let detail = draws.pick(topic.details);
            let subject = format!("{} {}", draws.phrase(topic.qualifiers), draws.phrase(topic.things));
            let wish = filled(task.ask, &format!("my {subject}"));
            if split_of(&wish, detail) == split {
                let messages = worded(style, &wish, detail, draws);
                return Self { style, topic, task, detail, subject, messages };
            }
        }
    }

    /// What the prompt puts to the test.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The side its matter is on.
    pub fn split(&self) -> Split {
        split_of(&filled(self.task.ask, &format!("my {}", self.subject)), self.detail)
    }

    /// The conversation, oldest message first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The whole conversation as one text: equal texts are equal prompts.
    pub fn text(&self) -> String {
        self.messages.iter().map(|message| format!("{}: {}\n", message.role, message.content)).collect()
    }

    /// Whether it asks for one of the tasks that a study may keep from training: the last of each everyday topic, and two of
    /// the six misdeeds. Held-out prompts share all tasks with training ones but in their matters.
    pub fn is_of_last_tasks(&self) -> bool {
        match self.style {
            Style::Helpfulness => self.topic.tasks.last().is_some_and(|last| last.ask == self.task.ask),
            Style::Safety => MISDEEDS[MISDEEDS.len() - 2..].iter().any(|topic| topic.tasks[0].ask == self.task.ask),
        }
    }

    /// A number that prompts of one task share.
    pub fn task_number(&self) -> u32 {
        text_key(self.task.ask) as u32
    }

    pub(super) fn topic(&self) -> &'static Topic {
        self.topic
    }

    pub(super) fn task(&self) -> &'static Task {
        self.task
    }

    pub(super) fn detail(&self) -> &'static Detail {
        self.detail
    }

    /// Qualifier and thing: "new tomatoes", "aunt's savings".
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }
}

impl Style {
    /// The topics of this style.
    pub(super) fn topics(self) -> &'static [Topic] {
        match self {
            Self::Helpfulness => EVERYDAY,
            Self::Safety => MISDEEDS,
        }
    }
}

/// A sentence form with its `{}` filled.
pub(super) fn filled(form: &str, filling: &str) -> String {
    form.replacen("{}", filling, 1)
}

/// Independent of the world's seed: held-out matters of one world are not training matters of another.
fn split_of(wish: &str, detail: &Detail) -> Split {
    if Draws::new(&[text_key(wish), text_key(detail.told)]).below(8) == 0 { Split::HeldOut } else { Split::Train }
}

fn worded(style: Style, wish: &str, detail: &Detail, draws: &mut Draws) -> Vec<Message> {
    let user = |content| Message { role: "user", content };
    let asking = filled(draws.phrase(speech::ASKING), wish);
    match style {
        Style::Helpfulness => vec![
            user(asking),
            Message { role: "assistant", content: draws.phrase(speech::RETURNING).to_owned() },
            user(filled(draws.phrase(speech::FOLLOWING), detail.told)),
        ],
        Style::Safety => vec![user(format!("{asking} {}", filled(draws.phrase(speech::EXPLAINING), detail.told)))],
    }
}
