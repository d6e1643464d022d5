//! Parts of `tokenizer.json` on which the library would stop the program, or which it reads otherwise than other programs.

use serde_json::Value;

/// Refuses them.
pub(super) fn refuse_steps(file: &Value) -> Result<(), String> {
    for (part, what) in [
        ("normalizer", "normalizer"),
        ("pre_tokenizer", "pre-tokenizer"),
        ("post_processor", "post-processor"),
        ("decoder", "decoder"),
    ] {
        for step in steps_of(&file[part]) {
            refuse_step(step, what)?;
        }
    }
    refuse_merges(&file["model"])
}

/// The step and, where it is a sequence, its steps.
fn steps_of(step: &Value) -> Vec<&Value> {
    let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
    let listed = lists.iter().filter_map(|name| step[name].as_array()).flatten();
    std::iter::once(step).chain(listed.flat_map(steps_of)).collect()
}

fn refuse_step(step: &Value, what: &str) -> Result<(), String> {
    let kind = step["type"].as_str().unwrap_or_default();
    let refused = |why: &str| Err(format!("the {what}'s step {kind} {why}"));
    let pattern = &step["pattern"];
    match kind {
        "Replace" if what == "normalizer" && pattern.get("Regex").is_some() => Err(format!(
            "the normalizer replaces by the regular expression {}; only plain text is replaced here",
            pattern["Regex"]
        )),
        "Replace" | "Split" if [&pattern["String"], &pattern["Regex"]].into_iter().any(|text| text == "") => {
            refused("has an empty `pattern`")
        }
        "Replace" | "Split" => match pattern["Regex"].as_str().and_then(other_elsewhere) {
            None => Ok(()),
            Some(class) => refused(&format!(
                "has the regular expression {}, in which `{class}` is other characters in other programs",
                pattern["Regex"]
            )),
        },
        "FixedLength" if step["length"] == 0 => refused("has the `length` 0"),
        "Prepend" if step["prepend"] == "" => refused("has an empty `prepend`"),
        "Precompiled" if !step["precompiled_charsmap"].as_str().is_some_and(has_trie) => {
            refused("has a `precompiled_charsmap` that is no table of characters")
        }
        "TemplateProcessing" => {
            let pieces = step["single"].as_array().into_iter().flatten();
            let texts: Vec<&Value> = pieces.map(|piece| &piece["Sequence"]["id"]).filter(|id| !id.is_null()).collect();
            match texts[..] {
                [text] if text == "A" => Ok(()),
                _ => refused("has a `single` that does not write the sequence A once and nothing of B"),
            }
        }
        _ => Ok(()),
    }
}

/// The first part of a pattern that Oniguruma, which tokenizers runs in Python, matches with other characters.
fn other_elsewhere(pattern: &str) -> Option<&str> {
    word(pattern).or_else(|| bracket_class(pattern))
}

/// `\w` or `\b`, or their contrary: joiners and superscript digits are of a word in one engine only.
fn word(pattern: &str) -> Option<&str> {
    let mut escaped = false;
    pattern.char_indices().find_map(|(at, letter)| {
        let after_backslash = escaped;
        escaped = letter == '\\' && !after_backslash;
        (after_backslash && matches!(letter, 'w' | 'W' | 'b' | 'B')).then(|| &pattern[at - 1..=at])
    })
}

/// The first POSIX class of the pattern, such as `[:punct:]`.
fn bracket_class(pattern: &str) -> Option<&str> {
    pattern.match_indices("[:").find_map(|(start, _)| {
        let name = pattern[start + 2..].split(":]").next()?;
        let letters = name.strip_prefix('^').unwrap_or(name);
        let end = start + 2 + name.len() + 2;
        let is_class = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_class { pattern.get(start..end) } else { None }
    })
}

/// Whether the table, written in base64, is long enough for the tree that it says to begin with: the tree's bytes in four
/// bytes, and the tree, whose root has 256 units of four bytes.
fn has_trie(table: &str) -> bool {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let Some(first) = table.as_bytes().get(..6) else { return false };
    let Some(bits) = first.iter().try_fold(0u64, |bits, &byte| value(byte).map(|six| bits << 6 | u64::from(six)))
    else {
        return false;
    };
    // 36 bits, of which the first 32 are the number, its lowest byte first.
    let Ok(number) = u32::try_from(bits >> 4) else { return false };
    let tree = number.swap_bytes() as usize;
    tree >= 1024 && tree <= (table.len() / 4 * 3).saturating_sub(4)
}

/// Refuses merges of which the second part lacks the prefix that is cut off.
fn refuse_merges(model: &Value) -> Result<(), String> {
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    if prefix.is_empty() {
        return Ok(());
    }
    for (index, merge) in model["merges"].as_array().into_iter().flatten().enumerate() {
        let second = match merge {
            Value::String(both) => both.split_once(' ').map(|(_, second)| second),
            pair => pair[1].as_str(),
        };
        if second.is_some_and(|second| !second.starts_with(prefix)) {
            return Err(format!(
                "merge {index} is {merge}, whose second part does not begin with `continuing_subword_prefix`, {prefix:?}"
            ));
        }
    }
    Ok(())
}
