//! Options that are one of a few words.

use super::value::{Given, Setting, quoted};
use crate::backend::Dtype;
use crate::blocks::FourBitType;
use crate::parameter::Projection;
use crate::quantisation::GgufType;
use crate::train::{ActivationPolicy, Bytes, ReferencePolicy, Route, SchedulerType};
use std::fmt;
use std::path::PathBuf;

/// Writes an enum of words, with its names in files.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$meta])* $variant),+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// Its name in files and on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }

        impl Setting for $name {
            fn takes() -> String {
                one_of(Self::ALL.iter().map(|word| word.name()))
            }

            fn read(given: &Given) -> Option<$name> {
                match given {
                    Given::Word(text) | Given::Text(text) => {
                        Self::ALL.iter().copied().find(|word| word.name() == text)
                    }
                    _ => None,
                }
            }

            fn written(&self) -> Option<String> {
                Some(quoted(self.name()))
            }

            const WORD: bool = true;
        }
    };
}

words! {
    /// What is trained: `task`.
    Task {
        /// A policy, to prefer the best response of a list.
        Preference = "preference",
        /// A policy, to write the responses.
        Sft = "sft",
        /// A reward model.
        Reward = "reward",
    }
}

words! {
    /// Options set together: `preset`.
    Preset {
        /// The paper's setting.
        Paper = "paper",
        /// What the authors' program runs.
        OfficialCode = "official-code",
    }
}

words! {
    /// How many negatives one evaluation of HPS reads: `estimator`.
    Estimator {
        /// One, drawn (Eq. 10).
        Single = "single",
        /// All (Eq. 8).
        Full = "full",
        /// Several, drawn.
        Multi = "multi",
        /// The expectation of `single`.
        Expected = "expected",
    }
}

words! {
    /// What is done with a row of more than `max_length` tokens: `truncation_mode`.
    TruncationMode {
        /// It is dropped.
        Drop = "drop",
        /// The prompt loses its beginning, as much for all responses, until prompt and longest response fit.
        KeepEnd = "keep_end",
        /// Each response loses its end, until it and the prompt fit.
        KeepStart = "keep_start",
    }
}

words! {
    /// Where a run's figures go besides `metrics.jsonl`: `report_to`.
    ReportTo {
        /// Nowhere else.
        None = "none",
        /// TensorBoard's event files.
        Tensorboard = "tensorboard",
        /// A page to look at when the run is over.
        Html = "html",
        /// All of these.
        All = "all",
    }
}

/// Where a run begins: `resume_from_checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resume {
    /// At the beginning.
    #[default]
    Never,
    /// At the newest checkpoint of `output_dir`.
    Newest,
    /// At this checkpoint.
    From(PathBuf),
}

impl Setting for Resume {
    fn takes() -> String {
        "true, false or a checkpoint's folder".into()
    }

    fn read(given: &Given) -> Option<Resume> {
        match (bool::read(given), PathBuf::read(given)) {
            (Some(true), _) => Some(Resume::Newest),
            (Some(false), _) => Some(Resume::Never),
            (None, folder) => folder.map(Resume::From),
        }
    }

    fn written(&self) -> Option<String> {
        match self {
            Resume::Never => Some(false.to_string()),
            Resume::Newest => Some(true.to_string()),
            Resume::From(folder) => folder.written(),
        }
    }
}

/// A type whose names it parses and prints itself.
macro_rules! named {
    ($($name:ident: $takes:literal),+) => {$(
        impl Setting for $name {
            fn takes() -> String {
                $takes.into()
            }

            fn read(given: &Given) -> Option<$name> {
                match given {
                    Given::Word(text) | Given::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }

            fn written(&self) -> Option<String> {
                Some(quoted(&self.to_string()))
            }
        }
    )+};
}

named! {
    SchedulerType: "cosine, linear or constant_with_warmup",
    Route: "auto, keep or chunks",
    ActivationPolicy: "auto, keep or recompute",
    Dtype: "auto, float32 or bfloat16",
    FourBitType: "nf4 or fp4",
    GgufType: "q8_0"
}

impl Setting for Bytes {
    fn takes() -> String {
        "an amount of memory: 8GiB, 500 MB or 65536".into()
    }

    fn read(given: &Given) -> Option<Bytes> {
        match given {
            Given::Word(text) | Given::Text(text) | Given::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn written(&self) -> Option<String> {
        // To the byte, where the amount as people write it is rounded.
        Some(self.0.to_string())
    }
}

impl Setting for ReferencePolicy {
    fn takes() -> String {
        "base, or an adapter's folder".into()
    }

    fn read(given: &Given) -> Option<ReferencePolicy> {
        PathBuf::read(given).map(|path| match path.to_str() {
            Some("base") => ReferencePolicy::Base,
            _ => ReferencePolicy::Adapter(path),
        })
    }

    fn written(&self) -> Option<String> {
        match self {
            ReferencePolicy::Base => Some(quoted("base")),
            ReferencePolicy::Adapter(folder) => folder.written(),
        }
    }
}

/// `lora_target_modules`: PEFT's names, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetModules(pub Vec<Projection>);

impl Setting for TargetModules {
    fn takes() -> String {
        let names = one_of(Projection::ALL.into_iter().map(Projection::name).chain(["all-linear"]));
        format!("{names}, or a list of them")
    }

    fn read(given: &Given) -> Option<TargetModules> {
        let mut modules = match given {
            Given::List(entries) => {
                let lists: Option<Vec<TargetModules>> = entries.iter().map(TargetModules::read).collect();
                lists?.into_iter().flat_map(|list| list.0).collect()
            }
            Given::Word(text) | Given::Text(text) if text == "all-linear" => Projection::ALL.to_vec(),
            Given::Word(text) => {
                let names: Option<Vec<_>> = text.split(',').map(|name| Projection::from_name(name.trim())).collect();
                names?
            }
            Given::Text(text) => vec![Projection::from_name(text)?],
            _ => return None,
        };
        modules.sort_unstable();
        modules.dedup();
        (!modules.is_empty()).then_some(TargetModules(modules))
    }

    fn written(&self) -> Option<String> {
        let names: Vec<String> = self.0.iter().map(|module| quoted(module.name())).collect();
        Some(format!("[{}]", names.join(", ")))
    }
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, [])) => (*last).into(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
