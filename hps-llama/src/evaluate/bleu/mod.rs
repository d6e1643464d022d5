//! BLEU (Papineni et al. 2002) of a response against a reference:
//! `BLEU = exp(min(0, 1 − r/c)) · exp(Σ_{n ≤ 4} ln p_n / 4)`, `c` and `r` the lengths of the two in units, `p_n` the share of
//! the response's n-grams that the reference has, each as often as there.
//!
//! | name | units | where no n-gram is shared | of a corpus | scale |
//! |---|---|---|---|---|
//! | `sacrebleu` | words of the tokeniser 13a | `p_n` is 1 / (2, 4, 8, … n-grams) | of all counts together | 0 … 100 |
//! | `nltk-char` | characters | `p_n` is the least normal f64 | the mean of the sentences' | 0 … 1 |
//!
//! `sacrebleu` is that package's default (Post 2018), of sentences with its effective order: up to the longest n-gram there
//! is. `nltk-char` is what the paper's released script computes: nltk's `sentence_bleu` of two strings, which are lists of
//! characters to it, without smoothing.

mod words;

use crate::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

/// The longest n-grams that count.
const ORDER: usize = 4;

/// Which BLEU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bleu {
    /// As sacrebleu by default.
    #[default]
    Sacrebleu,
    /// As nltk's `sentence_bleu` of characters.
    NltkChar,
}

/// What BLEU is computed from; those of a corpus are the sums of its pairs'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// Units of the response.
    length: u64,
    /// Units of the reference.
    reference: u64,
    /// n-grams of the response that the reference has, of each order.
    shared: [u64; ORDER],
    /// n-grams of the response.
    all: [u64; ORDER],
}

impl BleuCounts {
    fn of<T: Eq + Hash>(response: &[T], reference: &[T]) -> BleuCounts {
        let (length, reference_length) = (response.len() as u64, reference.len() as u64);
        let mut counts = BleuCounts { length, reference: reference_length, ..BleuCounts::default() };
        for (order, (shared, all)) in (1..).zip(counts.shared.iter_mut().zip(&mut counts.all)) {
            let mut left: HashMap<&[T], u64> = HashMap::new();
            reference.windows(order).for_each(|gram| *left.entry(gram).or_default() += 1);
            for gram in response.windows(order) {
                *all += 1;
                if let Some(left) = left.get_mut(gram).filter(|left| **left > 0) {
                    *left -= 1;
                    *shared += 1;
                }
            }
        }
        counts
    }

    fn add(mut self, other: &BleuCounts) -> BleuCounts {
        self.length += other.length;
        self.reference += other.reference;
        for order in 0..ORDER {
            self.shared[order] += other.shared[order];
            self.all[order] += other.all[order];
        }
        self
    }

    /// What a response pays for being shorter than its reference.
    fn brevity(&self) -> f64 {
        match (self.length, self.reference) {
            (0, _) => 0.0,
            (length, reference) if length >= reference => 1.0,
            (length, reference) => (1.0 - reference as f64 / length as f64).exp(),
        }
    }

    fn sacrebleu(&self, effective_order: bool) -> f64 {
        if self.shared == [0; ORDER] {
            return 0.0;
        }
        let (mut halved, mut sum, mut orders) = (1.0, 0.0, 0);
        for (shared, all) in self.shared.iter().zip(self.all).take_while(|(_, all)| *all > 0) {
            orders += 1;
            let precision = match shared {
                0 => {
                    halved *= 2.0;
                    100.0 / (halved * all as f64)
                }
                shared => 100.0 * *shared as f64 / all as f64,
            };
            sum += precision.ln();
        }
        if orders < ORDER && !effective_order {
            return 0.0;
        }
        self.brevity() * (sum / orders as f64).exp()
    }

    fn nltk(&self) -> f64 {
        if self.shared[0] == 0 {
            return 0.0;
        }
        let precision = |(shared, all): (&u64, &u64)| match shared {
            0 => f64::MIN_POSITIVE,
            shared => *shared as f64 / *all as f64,
        };
        let logs = self.shared.iter().zip(&self.all).map(precision).map(|precision| precision.ln() / ORDER as f64);
        self.brevity() * logs.sum::<f64>().exp()
    }
}

impl Bleu {
    /// What a pair adds to its corpus.
    pub fn counts(self, response: &str, reference: &str) -> BleuCounts {
        match self {
            Bleu::Sacrebleu => BleuCounts::of(&words::words(response), &words::words(reference)),
            Bleu::NltkChar => {
                let characters = |text: &str| words::stripped(text).chars().collect::<Vec<char>>();
                BleuCounts::of(&characters(response), &characters(reference))
            }
        }
    }

    /// BLEU of one response.
    ///
    /// ```
    /// use hps_llama::evaluate::Bleu;
    /// // Words: 6/7, 4/6, 2/5 and 1/4 of the n-grams, no brevity penalty.
    /// let bleu = Bleu::Sacrebleu.sentence("the cat sat on a mat.", "the cat sat on the mat.");
    /// assert!((bleu - 48.8923022434901).abs() < 1e-9);
    /// assert_eq!(Bleu::NltkChar.sentence(" same\n", "same"), 1.0);
    /// ```
    pub fn sentence(self, response: &str, reference: &str) -> f64 {
        self.of_sentence(&self.counts(response, reference))
    }

    /// BLEU of a response from its counts.
    pub fn of_sentence(self, counts: &BleuCounts) -> f64 {
        match self {
            Bleu::Sacrebleu => counts.sacrebleu(true),
            Bleu::NltkChar => counts.nltk(),
        }
    }

    /// BLEU of a corpus from its pairs' counts; NaN of none.
    pub fn of_corpus<'a>(self, pairs: impl Iterator<Item = &'a BleuCounts>) -> f64 {
        let mut number = 0;
        let pairs = pairs.inspect(|_| number += 1);
        let score = match self {
            Bleu::Sacrebleu => pairs.fold(BleuCounts::default(), BleuCounts::add).sacrebleu(false),
            Bleu::NltkChar => pairs.map(BleuCounts::nltk).sum(),
        };
        match (self, number) {
            (_, 0) => f64::NAN,
            (Bleu::Sacrebleu, _) => score,
            (Bleu::NltkChar, number) => score / f64::from(number),
        }
    }

    /// BLEU of a corpus of `(response, reference)`.
    pub fn corpus<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> f64 {
        let counts: Vec<BleuCounts> =
            pairs.into_iter().map(|(response, reference)| self.counts(response, reference)).collect();
        self.of_corpus(counts.iter())
    }
}

impl fmt::Display for Bleu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Bleu::Sacrebleu => "sacrebleu",
            Bleu::NltkChar => "nltk-char",
        })
    }
}

impl FromStr for Bleu {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "sacrebleu" => Ok(Bleu::Sacrebleu),
            "nltk-char" => Ok(Bleu::NltkChar),
            _ => {
                let message = format!("`bleu` is \"{name}\"; there are `sacrebleu` and `nltk-char`");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }
}
