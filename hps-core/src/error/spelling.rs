//! A name as somebody wrote it, and the known one that is nearest.

use core::fmt::{self, Write};

/// The first letters of a name, kept without memory of its own.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Spelling {
    bytes: [u8; Spelling::KEPT],
    len: u8,
    is_cut: bool,
}

impl Spelling {
    const KEPT: usize = 30;

    pub(crate) fn of(name: &str) -> Spelling {
        let mut end = name.len().min(Spelling::KEPT);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; Spelling::KEPT];
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        Spelling { bytes, len: end as u8, is_cut: end < name.len() }
    }

    fn as_str(&self) -> &str {
        // Cut between letters, so this is never the default.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for Spelling {
    /// Names are plain letters; of others a terminal would act on some, and a reader not see some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_str().escape_default())?;
        if self.is_cut { f.write_char('…') } else { Ok(()) }
    }
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The known name with the fewest letters to change, if at most a third of them differ; of several the first.
pub(crate) fn nearest(given: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let near = known.into_iter().filter_map(|name| Some((distance(given.as_bytes(), name.as_bytes())?, name)));
    let (changes, name) = near.min_by_key(|&(changes, _)| changes)?;
    (3 * changes <= given.len().max(name.len())).then_some(name)
}

/// Letters to insert, remove, replace or exchange with their neighbour; none of names too long for a name.
fn distance(a: &[u8], b: &[u8]) -> Option<usize> {
    const MOST: usize = 32;
    if a.len() >= MOST || b.len() >= MOST {
        return None;
    }
    // The last three rows of the table of distances between beginnings.
    let mut row: [usize; MOST] = core::array::from_fn(|j| j);
    let mut previous = row;
    for i in 1..=a.len() {
        let before = previous;
        previous = row;
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
            row[j] = replaced.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
    }
    Some(row[b.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        let between = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes());
        assert_eq!(between("dpo-hps", "dpo-hps"), Some(0));
        assert_eq!(between("dpo-hsp", "dpo-hps"), Some(1));
        assert_eq!(between("kitten", "sitting"), Some(3));
        assert_eq!(between("", "bt"), Some(2));
        assert_eq!(between(&"a".repeat(32), "bt"), None);
        assert_eq!(nearest("slick", ["lipo", "slic"]), Some("slic"));
        assert_eq!(nearest("ppo", ["lipo", "slic"]), None);
        assert_eq!(nearest("DPO-BT", ["dpo-pl", "dpo-bt"]), Some("dpo-bt"));
    }
}
