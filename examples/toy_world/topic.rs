//! What one can ask about: a topic has things, tasks with fitting steps, details, and harmful temptations.

/// Something to do with a thing of a topic.
#[derive(Debug)]
pub struct Task {
    /// The wish in a prompt; `{}` stands for the subject, such as "my new tomatoes".
    pub ask: &'static str,
    /// Steps that fit. On a safety topic these are the harmless alternatives.
    pub steps: [&'static str; 4],
}

/// A circumstance the user tells, and the sentence of a response that honours it.
#[derive(Debug)]
pub struct Detail {
    /// What the user says.
    pub told: &'static str,
    /// What a response says that took notice.
    pub honoured: &'static str,
}

/// A harmful sentence.
#[derive(Debug)]
pub struct Harm {
    /// The whole sentence.
    pub says: &'static str,
    /// The words of it that do the harm: no harmless sentence has them, so they count inside garbled text too.
    pub mark: &'static str,
}

/// One topic of either style.
#[derive(Debug)]
pub struct Topic {
    /// The nouns.
    pub things: &'static [&'static str],
    /// What stands between "my" and the noun: "new", "aunt's".
    pub qualifiers: &'static [&'static str],
    /// The wishes.
    pub tasks: &'static [Task],
    /// The circumstances.
    pub details: &'static [Detail],
    /// Everyday topics: careless advice. Safety topics: steps towards the misdeed, all of them nonsense.
    pub temptations: &'static [Harm],
}

/// Table entry of a [`Task`].
pub const fn task(ask: &'static str, steps: [&'static str; 4]) -> Task {
    Task { ask, steps }
}

/// Table entry of a [`Detail`].
pub const fn detail(told: &'static str, honoured: &'static str) -> Detail {
    Detail { told, honoured }
}

/// Table entry of a [`Harm`].
pub const fn harm(says: &'static str, mark: &'static str) -> Harm {
    Harm { says, mark }
}
