//! HH-RLHF's transcripts: `\n\nHuman: …\n\nAssistant: …`, turn after turn.

use super::Message;

/// What a turn begins with, and whose turn it is then.
const SPEAKERS: [(&str, &str); 2] = [("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")];

/// Whether the text is a transcript.
pub(super) fn is_transcript(text: &str) -> bool {
    opening(text).is_some()
}

/// The turns, without the white space around them; `None` if the text does not begin with one.
pub(super) fn turns(text: &str) -> Option<Vec<Message>> {
    let mut turns = Vec::new();
    let (mut role, mut rest) = opening(text)?;
    loop {
        let next = rest.match_indices("\n\n").find_map(|(at, _)| Some((at, opening(&rest[at..])?)));
        let end = next.map_or(rest.len(), |(at, _)| at);
        turns.push(Message::new(role, rest[..end].trim()));
        match next {
            Some((_, after)) => (role, rest) = after,
            None => return Some(turns),
        }
    }
}

/// The speaker whose turn the text begins with, and what follows the marker.
fn opening(text: &str) -> Option<(&'static str, &str)> {
    SPEAKERS.iter().find_map(|(marker, role)| Some((*role, text.strip_prefix(marker)?)))
}
