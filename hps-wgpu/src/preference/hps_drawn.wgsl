// The preferred response against S drawn negatives: L = l(s_1, ln c - ln S + ln sum_{j drawn} e^{s_j}). A negative that
// was drawn twice counts twice (Eq. 10 for S = 1).

const BLOCKED = false;

fn prefer() -> f32 {
    var negatives = f32(word(0u));
    if (batch.loss.scale == 0.0 && word(0u) == 0u) {
        negatives = f32(batch.responses - 1u);
    }
    if (flag(MASK_MAX)) {
        let retained = hardness_from(1u).retained;
        negatives = select(negatives, retained, word(0u) == 0u);
    }
    var terms = NONE;
    for (var k = lane; k < batch.samples; k += TEAM) {
        terms = with_term(terms, score(word(3u + k)), 0.0);
    }
    terms = team_joined(terms);
    let log_scale = log_scale_of(negatives) - ln_(f32(batch.samples));
    let priced = price(score(0u), log_of(terms) + log_scale);
    for (var i = begin; i < end; i += stride) {
        keep(i, select(0.0, priced.y, i == 0u));
    }
    for (var k = 0u; k < batch.samples; k += 1u) {
        let drawn = word(3u + k);
        if (owns(drawn)) {
            keep(drawn, kept(drawn) + priced.z * (decay(score(drawn) - terms.x) / terms.y));
        }
    }
    return priced.x;
}
