//! The base behaviour: responses good and bad alike, each with the traits it was meant to have.

use super::draws::Draws;
use super::prompt::{Prompt, Style, filled};
use super::speech;
use super::topic::Harm;
use super::traits::Traits;

/// Words in a response.
pub const WORDS: std::ops::RangeInclusive<usize> = 8..=30;

/// A response and what it was meant to do.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The response.
    pub text: String,
    /// The traits its text should show.
    pub intended: Traits,
}

impl Draft {
    /// Draws a response of the base behaviour.
    pub fn drawn(prompt: &Prompt, draws: &mut Draws) -> Self {
        loop {
            let draft = Speaker::new(prompt, draws).speak();
            if WORDS.contains(&draft.text.split(' ').count()) {
                return draft;
            }
        }
    }
}

/// Puts one response together, sentence by sentence.
struct Speaker<'a> {
    prompt: &'a Prompt,
    draws: &'a mut Draws,
    /// Probability of each good habit.
    care: f64,
    /// Whether the first sentence after the opening names the subject or refuses; it stays there.
    lead_in: bool,
    sentences: Vec<String>,
    intended: Traits,
}

impl<'a> Speaker<'a> {
    fn new(prompt: &'a Prompt, draws: &'a mut Draws) -> Self {
        let care = *draws.pick(&[0.25, 0.55, 0.85]);
        Self { prompt, draws, care, lead_in: false, sentences: Vec::new(), intended: Traits::default() }
    }

    fn speak(mut self) -> Draft {
        self.open();
        let opened = self.sentences.len();
        match self.prompt.style() {
            Style::Helpfulness if self.draws.chance(0.38) => self.assist_harmfully(),
            Style::Helpfulness if self.draws.chance(0.1) => self.decline(),
            Style::Helpfulness => self.assist(),
            Style::Safety if self.draws.chance(0.36) => self.comply(),
            Style::Safety if self.draws.chance(0.2) => self.decline_harmfully(),
            Style::Safety => self.decline(),
        }
        self.stray();
        let shuffled_from = opened + usize::from(self.lead_in);
        self.draws.shuffle(&mut self.sentences[shuffled_from..]);
        self.close();
        let text = self.sentences.join(". ") + ".";
        Draft { intended: Traits { characters: text.chars().count(), ..self.intended }, text }
    }

    fn open(&mut self) {
        if self.careful() {
            self.intended.courteous = true;
            self.say_one(speech::COURTEOUS);
        } else if self.draws.chance(0.5) {
            self.say_one(speech::PLAIN_OPENINGS);
        }
    }

    fn close(&mut self) {
        if self.careful() {
            self.intended.kind_closing = true;
            self.say_one(speech::KIND_CLOSINGS);
        } else if self.draws.chance(0.3) {
            self.say_one(speech::PLAIN_CLOSINGS);
        }
    }

    fn assist(&mut self) {
        if self.careful() {
            self.name(speech::LEADS);
        }
        self.give_steps();
        self.honour_detail();
    }

    fn assist_harmfully(&mut self) {
        self.assist();
        for _ in 0..1 + usize::from(self.draws.chance(0.2)) {
            match self.draws.below(4) {
                0 => self.insult(),
                1 => self.breach(),
                _ => self.tempt(1),
            }
        }
    }

    fn decline(&mut self) {
        if self.draws.chance(0.8) {
            self.intended.declined = true;
            self.lead_in = true;
            if self.careful() {
                self.name(speech::NAMED_REFUSALS);
            } else {
                self.say_one(speech::PLAIN_REFUSALS);
            }
        }
        // A needless refusal of an everyday wish offers nothing.
        if self.prompt.style() == Style::Safety {
            self.give_steps();
            self.honour_detail();
        }
    }

    fn decline_harmfully(&mut self) {
        self.decline();
        if self.draws.chance(0.6) { self.insult() } else { self.breach() }
    }

    fn comply(&mut self) {
        let agreed = self.draws.chance(0.7);
        if agreed {
            let agreement = self.draws.pick(speech::AGREEMENTS);
            self.intended.complied += 1;
            self.name(&[agreement.says]);
        }
        let steps = self.draws.below(3) + usize::from(!agreed);
        self.tempt(steps);
        self.intended.steps += steps;
        if self.draws.chance(0.12) {
            self.insult();
        }
        if self.draws.chance(0.12) {
            self.breach();
        }
    }

    fn give_steps(&mut self) {
        let count = (0..3).filter(|_| self.careful()).count();
        self.intended.steps += count;
        for step in self.draws.several(&self.prompt.task().steps, count) {
            self.say(step);
        }
        if count == 0 {
            self.say_one(speech::VAGUE);
        }
    }

    fn honour_detail(&mut self) {
        if self.careful() {
            self.intended.detail = true;
            self.say(self.prompt.detail().honoured);
        }
    }

    /// Says a form that names the subject; the careless name another one of the same topic.
    fn name(&mut self, forms: &[&'static str]) {
        let form = self.draws.phrase(forms);
        let mut subject = self.prompt.subject().to_owned();
        if self.careless() && self.draws.chance(0.3) {
            let topic = self.prompt.topic();
            subject = format!("{} {}", self.draws.phrase(topic.qualifiers), self.draws.phrase(topic.things));
        }
        if subject == self.prompt.subject() {
            self.intended.named = true;
        } else {
            self.intended.off_topic += 1;
        }
        self.lead_in = true;
        self.say(&filled(form, &format!("your {subject}")));
    }

    /// Careless advice, or steps towards the misdeed.
    fn tempt(&mut self, count: usize) {
        let before = self.sentences.len();
        for harm in self.draws.several(self.prompt.topic().temptations, count) {
            self.harm_once(harm);
        }
        let said = self.sentences.len() - before;
        match self.prompt.style() {
            Style::Helpfulness => self.intended.careless += said,
            Style::Safety => self.intended.complied += said,
        }
    }

    fn insult(&mut self) {
        let harm = self.draws.pick(speech::INSULTS);
        self.intended.insults += usize::from(self.harm_once(harm));
    }

    fn breach(&mut self) {
        let harm = self.draws.pick(speech::BREACHES);
        self.intended.breaches += usize::from(self.harm_once(harm));
    }

    /// Sentences that no plan asked for: a slight, chatter, or a step of another task.
    fn stray(&mut self) {
        if self.careless() && self.draws.chance(0.15) {
            let harm = self.draws.pick(speech::SLIGHTS);
            self.intended.slights += usize::from(self.harm_once(harm));
        }
        if self.careless() && self.draws.chance(0.5) {
            let topic = self.draws.pick(self.prompt.style().topics());
            let task = self.draws.pick(topic.tasks);
            let step = self.draws.phrase(&task.steps);
            self.intended.off_topic += 1;
            if self.draws.chance(0.4) || self.prompt.task().steps.contains(&step) {
                self.say_one(speech::CHATTER);
            } else {
                self.say(step);
            }
        }
    }

    fn careful(&mut self) -> bool {
        self.draws.chance(self.care)
    }

    fn careless(&mut self) -> bool {
        !self.careful()
    }

    /// Whether it was not said before.
    fn harm_once(&mut self, harm: &Harm) -> bool {
        let new = !self.sentences.iter().any(|sentence| sentence == harm.says);
        if new {
            self.say(harm.says);
        }
        new
    }

    fn say_one(&mut self, sentences: &[&'static str]) {
        let sentence = self.draws.phrase(sentences);
        self.say(sentence);
    }

    fn say(&mut self, sentence: &str) {
        self.sentences.push(sentence.to_owned());
    }
}
