//! One prompt, four answers: how hard does each loss push them? Everything is on the stack, as without `std`.
//!
//! `cargo run --release --example rank_four_answers`
//!
//! The push on answer `i` is `−∂L/∂log π_i`: by it, a step of gradient descent raises (+) or lowers (−) the answer. What
//! the losses differ in is whom they push down: the worst, everybody behind, or whom the reward model likes too well.

use hps_core::{Error, Loss, Responses};

/// Best first, as everywhere in this library. The second is the hard one: nearly as good, and the policy's favourite.
const PROMPT: &str = "My bicycle chain is rusty. What do I do?";
const ANSWERS: [&str; 4] =
    ["Brush it, oil it, wipe off the rest.", "Oil it.", "Buy a new bicycle.", "Ask me tomorrow."];
const POLICY: [f64; 4] = [-24.0, -9.5, -14.0, -13.5];
const REFERENCE: [f64; 4] = [-25.0, -12.0, -14.5, -12.0];
const LENGTHS: [u32; 4] = [11, 4, 5, 5];
const REWARDS: [f64; 4] = [1.0, 0.7, -0.2, -1.1];

/// `L` and the push on every answer.
fn pushes(loss: &Loss) -> Result<(f64, [f64; 4]), Error> {
    let row = Responses::new(&POLICY)?.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS)?;
    let (mut scratch, mut gradient) = ([0.0; Loss::scratch_len(4)], [0.0; 4]);
    let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient)?;
    Ok((value, gradient.map(|derivative| -derivative)))
}

fn main() -> Result<(), Error> {
    let hps = "dpo-hps-full".parse::<Loss>()?;
    let losses = [
        ("dpo-bt", "dpo-bt".parse()?),
        ("dpo-pl", "dpo-pl".parse()?),
        ("hps, γ = 5", hps.with_gamma(5.0)?),
        ("hps, γ = -5", hps.with_gamma(-5.0)?),
    ];
    let mut table = [(0.0, [0.0; 4]); 4];
    for (column, (_, loss)) in table.iter_mut().zip(&losses) {
        *column = pushes(loss)?;
    }

    println!("{PROMPT}\n");
    print!("{:<38}{:>8}", "", "reward");
    losses.iter().for_each(|(name, _)| print!("{name:>14}"));
    println!();
    for (index, answer) in ANSWERS.iter().enumerate() {
        print!("{answer:<38}{:>8.1}", REWARDS[index]);
        table.iter().for_each(|(_, push)| print!("{:>14}", signed(push[index])));
        println!();
    }
    print!("{:<38}{:>8}", "loss, nats", "");
    table.iter().for_each(|(value, _)| print!("{value:>14.3}"));
    println!();

    let [bradley_terry, plackett_luce, hard, easy] = table.map(|(_, push)| push);
    for push in [bradley_terry, plackett_luce, hard, easy] {
        assert!(push[0] > 0.0 && push.iter().sum::<f64>().abs() < 1e-15, "what one gains the others lose: {push:?}");
    }
    assert!(bradley_terry[1] == 0.0 && bradley_terry[2] == 0.0, "Bradley–Terry sees the best and the worst");
    assert!(plackett_luce[1..].is_sorted_by(|better, worse| better > worse), "Plackett–Luce sees the whole order");
    let share = |push: [f64; 4], index: usize| -push[index] / push[0];
    assert!(share(hard, 1) > 0.98, "a large γ pushes down the hard negative");
    assert!(share(easy, 3) > 0.98, "and a negative one the easy negative");
    println!("\nOf what HPS pushes down, γ = 5 puts {:.0} % on the hard negative.", 100.0 * share(hard, 1));
    Ok(())
}

/// What four decimals do not show is not worth a sign.
fn signed(push: f64) -> String {
    if push.abs() < 5e-5 { "0".into() } else { format!("{push:+.4}") }
}
