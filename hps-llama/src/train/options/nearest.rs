//! The known name nearest to one that is not known.

/// Names further away than this are no help: Jaro–Winkler similarity, 1 for equal names.
const SIMILAR: f64 = 0.8;

/// The most similar of some names, if it is similar enough.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), known);
    let scored = known.into_iter().map(|known| (similarity(known), known));
    scored.filter(|(score, _)| *score >= SIMILAR).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name)
}

/// `; did you mean …?`, or nothing.
pub(super) fn question(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}
