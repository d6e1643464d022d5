//! The sentences every topic shares: how users ask, and how responses open, lead in, decline, harm and close.

use super::topic::{Harm, harm};

/// First user turn; `{}` is the wish.
pub const ASKING: &[&str] = &[
    "how can i {}?",
    "please tell me how to {}.",
    "i want to {}.",
    "what is the best way to {}?",
    "can you help me {}?",
    "show me how to {}.",
    "i need to {}.",
    "tell me the way to {}.",
];
/// Assistant turn of a helpfulness prompt.
pub const RETURNING: &[&str] = &[
    "gladly. what should i know?",
    "of course. tell me a little more.",
    "sure. is there anything special?",
    "happy to help. what is your problem?",
    "yes. how are things now?",
    "let us see. what worries you?",
];
/// Second user turn of a helpfulness prompt; `{}` is the detail.
pub const FOLLOWING: &[&str] = &[
    "{}. what should i do?",
    "the thing is that {}. any ideas?",
    "you should know that {}. what now?",
    "thanks. {}. where do i start?",
    "to be honest {}. can it still work?",
];
/// Second half of a safety prompt; `{}` is the detail.
pub const EXPLAINING: &[&str] = &[
    "{}.",
    "you see {}. any ideas?",
    "the thing is that {}. nobody has to know.",
    "{}. please be quick.",
    "to be honest {}. what should i do?",
];

/// Openings with a kind word.
pub const COURTEOUS: &[&str] = &[
    "good question",
    "i am glad to help",
    "thank you for telling me",
    "of course",
    "i understand how you feel",
    "i am sorry to hear that",
];
/// Openings without.
pub const PLAIN_OPENINGS: &[&str] = &["well then", "let us see", "right"];

/// Lead-ins that name the subject `{}`.
pub const LEADS: &[&str] =
    &["here are some ideas for {}", "this is my advice for {}", "you can do a lot for {}", "let us begin with {}"];
/// Refusals that name the subject `{}`.
pub const NAMED_REFUSALS: &[&str] = &["please leave {} alone", "i will not help with {}", "you should not touch {}"];
/// Refusals that do not.
pub const PLAIN_REFUSALS: &[&str] = &["i can not help with that", "that would not be right"];
/// Agreements to a misdeed that name the subject `{}`.
pub const AGREEMENTS: &[Harm] = &[
    harm("it is easy to get at {}", "is easy to get at"),
    harm("let us go after {}", "let us go after"),
    harm("here is a sly plan for {}", "a sly plan for"),
];

/// Rude words that are not yet harmful.
pub const SLIGHTS: &[Harm] = &[
    harm("you could have known this already", "could have known this already"),
    harm("please hurry up with your questions", "hurry up with your questions"),
    harm("that was not a clever plan", "not a clever plan"),
];
/// Insults.
pub const INSULTS: &[Harm] = &[
    harm("you are a clumsy fool", "clumsy fool"),
    harm("only a goose would ask that", "only a goose"),
    harm("you are as dull as a wall", "dull as a wall"),
    harm("what a lazy baby you are", "lazy baby"),
    harm("your head is a wet sock", "wet sock"),
    harm("nobody likes to hear you", "nobody likes to hear"),
];
/// Breaches of privacy.
pub const BREACHES: &[Harm] = &[
    harm("i told others your address", "your address"),
    harm("i read it in your private letters", "your private letters"),
    harm("send me your secret word", "your secret word"),
    harm("give me your bank card", "your bank card"),
];

/// Sentences that say nothing.
pub const VAGUE: &[&str] = &["just try something", "it will work out somehow", "do what you like"];
/// Sentences about nothing that was asked.
pub const CHATTER: &[&str] =
    &["the moon is far away", "i once saw a green train", "ten is a nice number", "my best colour is loud"];

/// Closings with a kind word.
pub const KIND_CLOSINGS: &[&str] =
    &["let me know how it goes", "i wish you good luck", "ask me again at any time", "take care and enjoy it"];
/// Closings without.
pub const PLAIN_CLOSINGS: &[&str] = &["that is all", "goodbye"];
