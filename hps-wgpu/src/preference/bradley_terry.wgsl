// Bradley-Terry: the best response against the worst of the list, L = l(s_1, s_n) (Eq. 3); and SLiC-HF,
// max(0, delta - log pi_1 + log pi_n) - lambda log pi_sft, or with that term inside the maximum (Eq. 16).

const BLOCKED = false;

fn prefer() -> f32 {
    let last = batch.responses - 1u;
    var inside = 0.0;
    var outside = 0.0;
    if (batch.loss.preference == 6u) {
        let supervised = batch.loss.supervised * bitcast<f32>(word(1u));
        inside = select(0.0, supervised, batch.loss.form == 1u);
        outside = supervised - inside;
    }
    let priced = price(score(0u) + inside, score(last));
    for (var i = begin; i < end; i += stride) {
        keep(i, select(select(0.0, priced.z, i == last), priced.y, i == 0u));
    }
    return priced.x - outside;
}
