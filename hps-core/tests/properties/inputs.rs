//! Which lists a loss reads, list by list: what it says it reads it refuses to do without, and of the others nothing depends.

use hps_core::{Batch, ErrorKind, Loss, Pair, Preference, ResponseScale, Responses, Reward};

const POLICY: [f64; 4] = [-10.0, -12.0, -9.0, -14.0];
const REFERENCE: [f64; 4] = [-11.0, -11.5, -9.5, -13.0];
const LENGTHS: [u32; 4] = [3, 5, 2, 9];
const REWARDS: [f64; 4] = [2.0, 1.0, 0.5, -1.0];
const SCALES: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
const LISTS: [&str; 5] = ["reference", "lengths", "rewards", "scales", "supervised"];

fn losses() -> Vec<Loss> {
    let by_name = Loss::names().iter().map(|name| name.parse().unwrap());
    let scaled = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::PlackettLuce);
    let ratio = Loss::new(Reward::LogRatio { per_token: false }, Pair::Ipo { beta: 0.1 }, Preference::BradleyTerry);
    let liked = "dpo-bt".parse::<Loss>().unwrap().with_likelihood(1.0);
    by_name.chain([scaled.unwrap(), ratio.unwrap(), liked.unwrap()]).collect()
}

fn row<'a>(loss: &Loss, without: &str) -> Responses<'a, f64> {
    let mut row = Responses::new(&POLICY).unwrap();
    if without != "reference" {
        row = row.with_reference(&REFERENCE).unwrap();
    }
    if without != "lengths" {
        row = row.with_lengths(&LENGTHS).unwrap();
    }
    if without != "rewards" {
        row = row.with_rewards(&REWARDS).unwrap();
    }
    if without != "scales" {
        row = row.with_scales(&SCALES).unwrap();
    }
    if without != "supervised" {
        row = row.with_supervised(-20.0).unwrap();
    }
    match (loss.reads_sample(), loss.reads_samples()) {
        (true, _) => row.with_sample(2).unwrap(),
        (_, true) => row.with_samples(&[1, 3]).unwrap(),
        _ => row,
    }
}

fn reads(loss: &Loss, list: &str) -> bool {
    match list {
        "reference" => loss.reads_reference(),
        "lengths" => loss.reads_lengths(),
        "rewards" => loss.reads_rewards(),
        "scales" => loss.reads_scales(),
        _ => loss.reads_supervised(),
    }
}

/// `L` and its gradient.
fn evaluate(loss: &Loss, row: &Responses<'_, f64>) -> Result<(f64, [f64; 4]), hps_core::Error> {
    let mut gradient = [0.0; 4];
    let value = loss.value_and_gradient(row, &mut [f64::NAN; Loss::scratch_len(4)], &mut gradient)?;
    Ok((value, gradient))
}

#[test]
fn what_is_read_is_needed_and_nothing_else() {
    for loss in losses() {
        let whole = evaluate(&loss, &row(&loss, "")).unwrap();
        assert_eq!(loss.value(&row(&loss, ""), &mut [f64::NAN; Loss::scratch_len(4)]), Ok(whole.0), "{loss}");
        for list in LISTS {
            let row = row(&loss, list);
            let (computed, checked) = (evaluate(&loss, &row), loss.check_row(&row));
            let value = loss.value(&row, &mut [f64::NAN; Loss::scratch_len(4)]);
            if !reads(&loss, list) {
                assert_eq!((computed, checked, value), (Ok(whole), Ok(()), Ok(whole.0)), "{loss} without {list}");
                continue;
            }
            let error = computed.unwrap_err();
            assert_eq!((error.kind(), error.list()), (ErrorKind::InputMissing, Some(list)), "{loss} without {list}");
            assert_eq!((checked, value), (Err(error), Err(error)), "{loss} without {list}");
        }
    }
}

/// A trainer that has scored the preferred response and the drawn one has no use for rewards.
#[test]
fn samples_that_were_drawn_elsewhere_need_no_rewards() {
    for name in Loss::names() {
        let loss: Loss = name.parse().unwrap();
        let row = row(&loss, "rewards");
        let drawn = match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => row.with_sample_from(2, 3),
            (_, true) => row.with_samples_from(&[1, 3], 3),
            _ => continue,
        };
        let own = evaluate(&loss, &self::row(&loss, "")).unwrap();
        assert_eq!(evaluate(&loss, &drawn.unwrap()), Ok(own), "{name}");
    }
}

/// Of a batch the same, with nothing of a prompt in the error: the list is missing altogether.
#[test]
fn a_batch_lacks_a_list_as_a_whole() {
    let twice = |list: &[f64]| [list, list].concat();
    let (policy, reference, rewards, scales) = (twice(&POLICY), twice(&REFERENCE), twice(&REWARDS), twice(&SCALES));
    let lengths = [LENGTHS, LENGTHS].concat();
    for loss in losses() {
        for without in LISTS.iter().chain(&[""]) {
            let mut batch = Batch::new(4, &policy).unwrap();
            if *without != "reference" {
                batch = batch.with_reference(&reference).unwrap();
            }
            if *without != "lengths" {
                batch = batch.with_lengths(&lengths).unwrap();
            }
            if *without != "rewards" {
                batch = batch.with_rewards(&rewards).unwrap();
            }
            if *without != "scales" {
                batch = batch.with_scales(&scales).unwrap();
            }
            if *without != "supervised" {
                batch = batch.with_supervised(&[-20.0; 2]).unwrap();
            }
            batch = match (loss.reads_sample(), loss.reads_samples()) {
                (true, _) => batch.with_samples(&[2, 2], None).unwrap(),
                (_, true) => batch.with_samples(&[1, 3, 1, 3], None).unwrap(),
                _ => batch,
            };
            let (mut values, mut gradient) = ([0.0; 2], [0.0; 8]);
            let mut scratch = [f64::NAN; Loss::batch_scratch_len(4)];
            let computed = loss.values_and_gradients(&batch, &mut scratch, &mut values, &mut gradient);
            assert_eq!(computed, loss.check(&batch), "{loss} without {without}");
            if !without.is_empty() && reads(&loss, without) {
                let error = computed.unwrap_err();
                assert_eq!((error.prompt(), error.list()), (None, Some(*without)), "{loss} without {without}");
            } else {
                assert_eq!(computed, Ok(()), "{loss} without {without}");
            }
        }
    }
}

#[test]
fn lists_that_are_not_ranked_are_told() {
    let row = Responses::new(&POLICY).unwrap();
    assert_eq!(row.expect_ranked().unwrap_err().list(), Some("rewards"));
    assert!(row.with_rewards(&REWARDS).unwrap().expect_ranked().is_ok());
    let error = row.with_rewards(&[2.0, 1.0, 1.5, -1.0]).unwrap().expect_ranked().unwrap_err();
    let text = "rewards[2] = 1.5 is above rewards[1] = 1: the responses are not best first";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotRanked, text));
}

/// A sort that is known to be stable puts them into the same order, ties and signed zeros included.
#[test]
fn ranks_are_a_stable_sorts() {
    let mut state = 1_u64;
    for count in 0..40 {
        let rewards: Vec<f64> = (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                [-1.0, -0.0, 0.0, 0.5, 1e300][(state >> 33) as usize % 5]
            })
            .collect();
        let mut expected: Vec<usize> = (0..count).collect();
        expected.sort_by(|&a, &b| rewards[b].partial_cmp(&rewards[a]).unwrap());
        let mut order = vec![usize::MAX; count];
        hps_core::rank(&rewards, &mut order).unwrap();
        assert_eq!(order, expected);
    }
    assert_eq!(hps_core::rank(&[1.0, f64::NAN], &mut [0; 2]).unwrap_err().index(), Some(1));
    assert_eq!(hps_core::rank(&[1.0, 2.0], &mut [0; 3]).unwrap_err().needed(), Some(2));
}

/// The other kind of sample than the loss reads is told as such.
#[test]
fn one_sample_is_not_several() {
    let row = Responses::new(&POLICY).unwrap().with_reference(&REFERENCE).unwrap().with_rewards(&REWARDS).unwrap();
    let (one, several): (Loss, Loss) = ("dpo-hps".parse().unwrap(), "dpo-hps-multi".parse().unwrap());
    for (loss, row, said) in [
        (one, row.with_samples(&[1]).unwrap(), "the row names several samples, the loss reads one (with_sample)"),
        (several, row.with_sample(1).unwrap(), "the row names one sample, the loss reads several (with_samples)"),
    ] {
        let error = evaluate(&loss, &row).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unsupported, format!("unsupported: {said}")));
    }
}

/// What a loss of one's own does not write itself: log ratios, or without a reference the log-probabilities.
#[test]
fn scores_of_a_loss_of_ones_own() {
    #[derive(Debug)]
    struct Own;
    impl hps_core::ListLoss for Own {
        fn identity(&self, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
            write!(out, "own")
        }
        fn value_and_gradient(
            &self,
            _: &Responses<'_, f64>,
            _: &mut [f64],
            _: &mut [f64],
        ) -> Result<f64, hps_core::Error> {
            Err(hps_core::Error::custom("not computed here"))
        }
    }
    let (bare, mut out) = (Responses::new(&POLICY).unwrap(), [0.0; 4]);
    hps_core::ListLoss::scores(&Own, &bare, &mut out).unwrap();
    assert_eq!(out, POLICY);
    hps_core::ListLoss::scores(&Own, &bare.with_reference(&REFERENCE).unwrap(), &mut out).unwrap();
    assert_eq!(out, [1.0, -0.5, 0.5, -1.0]);
    for row in [bare, bare.with_reference(&REFERENCE).unwrap()] {
        let error = hps_core::ListLoss::scores(&Own, &row, &mut [0.0; 1]).unwrap_err();
        assert_eq!((error.kind(), error.needed()), (ErrorKind::LengthMismatch, Some(4)));
    }
    let slic: Loss = "slic".parse().unwrap();
    assert_eq!(slic.supervised_gradient::<f64>(&[]), 0.0);
}
