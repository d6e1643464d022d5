//! What is found wrong, told at the end of a test with all that is needed to see it again.

use crate::number;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A test is over after so many.
const ENOUGH: usize = 5;

/// Those of one test.
#[derive(Debug)]
pub struct Violations {
    test: &'static str,
    seed: u64,
    found: usize,
}

impl Violations {
    pub fn of(test: &'static str) -> Violations {
        Violations { test, seed: number("HPS_LONG_SEED").unwrap_or(0), found: 0 }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn enough(&self) -> bool {
        self.found >= ENOUGH
    }

    /// Notes what a case has come to; its folder stays where something is wrong.
    pub fn note(&mut self, case: u32, folder: TempDir, outcome: Result<(), String>) {
        let Err(message) = outcome else { return };
        let kept = folder.keep();
        let (test, seed) = (self.test, self.seed);
        let again = format!("HPS_LONG_SEED={seed} HPS_LONG_CASE={case}");
        println!("violation: {test}, case {case} ({again}; its folder: {}): {message}", kept.display());
        self.found += 1;
    }

    /// # Panics
    /// Something was wrong.
    pub fn end(self) {
        assert_eq!(self.found, 0, "violations of {}, seed {}, told above", self.test, self.seed);
    }
}

/// A folder for a case, in one that is there.
pub fn folder(path: &Path, name: &str) -> PathBuf {
    let folder = path.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
