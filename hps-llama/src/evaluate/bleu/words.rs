//! Text to words as the tokeniser 13a cuts it, NIST's mteval-v13a: punctuation apart, full stops and commas only where no
//! digit is beside them.

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = text.trim_end_matches(is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let apart: Vec<char> = format!(" {text} ")
        .chars()
        .flat_map(|letter| if is_punctuation(letter) { vec![' ', letter, ' '] } else { vec![letter] })
        .collect();
    let stop = |letter: char| letter == '.' || letter == ',';
    let digit = |letter: char| letter.is_ascii_digit();
    let apart = spaced(&apart, |one, two| !digit(one) && stop(two), |one, two| [one, ' ', two, ' ']);
    let apart = spaced(&apart, |one, two| stop(one) && !digit(two), |one, two| [' ', one, ' ', two]);
    let apart = spaced(&apart, |one, two| digit(one) && two == '-', |one, two| [one, ' ', two, ' ']);
    apart.split(|letter| is_space(*letter)).filter(|word| !word.is_empty()).map(|word| word.iter().collect()).collect()
}

/// A text without the white space around it, as Python strips it.
pub(super) fn stripped(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Puts spaces into the pairs of neighbours that `matches`, left to right, no letter in two of them.
fn spaced(
    letters: &[char],
    matches: impl Fn(char, char) -> bool,
    with_spaces: impl Fn(char, char) -> [char; 4],
) -> Vec<char> {
    let mut out = Vec::with_capacity(2 * letters.len());
    let mut rest = letters;
    loop {
        rest = match *rest {
            [one, two, ..] if matches(one, two) => {
                out.extend(with_spaces(one, two));
                &rest[2..]
            }
            [one, ..] => {
                out.push(one);
                &rest[1..]
            }
            [] => return out,
        }
    }
}

/// ASCII punctuation but for `'`, `,`, `-` and `.`; and the space.
fn is_punctuation(letter: char) -> bool {
    matches!(letter, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// White space as Python splits at: Unicode's, and the four separators of ASCII.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}
