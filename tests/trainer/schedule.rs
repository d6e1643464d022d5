//! Learning rates against transformers' `get_*_schedule_with_warmup`, written out.

use crate::lists::fours;
use crate::policy::fresh;
use crate::run::{config, run, trainer};
use crate::tolerance::F64;
use crate::weights::trained;
use hps_llama::train::{Schedule, SchedulerType, TrainConfig};

const TYPES: [SchedulerType; 3] = [SchedulerType::Cosine, SchedulerType::Linear, SchedulerType::Constant];

/// The factor of update `t` (from 0) of `total`, `warmup` of which warm up.
fn factor(scheduler: SchedulerType, t: u64, warmup: u64, total: u64) -> f64 {
    let [now, start, end] = [t, warmup, total].map(|updates| updates as f64);
    if t < warmup {
        return now / start.max(1.0);
    }
    match scheduler {
        SchedulerType::Cosine => {
            let progress = (now - start) / (end - start).max(1.0);
            f64::max(0.0, 0.5 * (1.0 + (std::f64::consts::PI * 0.5 * 2.0 * progress).cos()))
        }
        SchedulerType::Linear => f64::max(0.0, (end - now) / (end - start).max(1.0)),
        SchedulerType::Constant => 1.0,
    }
}

#[test]
fn rates_are_transformers() {
    for scheduler in TYPES {
        for (warmup_steps, total_steps) in [(0, 1), (0, 7), (1, 10), (3, 10), (10, 10), (9, 10), (100, 2000)] {
            let schedule = Schedule { scheduler, learning_rate: 3e-4, warmup_steps, total_steps };
            for t in 0..total_steps {
                let expected = 3e-4 * factor(scheduler, t, warmup_steps, total_steps);
                assert!((schedule.at(t) - expected).abs() <= 3e-4 * F64, "{schedule:?}, update {t}");
            }
        }
    }
}

/// Numbers anyone can check: a third and two thirds of a half cosine are at 3/4 and 1/4.
#[test]
fn rates_at_known_places() {
    let known = [
        (SchedulerType::Cosine, [0.0, 0.5, 1.0, 0.75, 0.25]),
        (SchedulerType::Linear, [0.0, 0.5, 1.0, 2.0 / 3.0, 1.0 / 3.0]),
        (SchedulerType::Constant, [0.0, 0.5, 1.0, 1.0, 1.0]),
    ];
    for (scheduler, rates) in known {
        let schedule = Schedule { scheduler, learning_rate: 1.0, warmup_steps: 2, total_steps: 5 };
        for (t, rate) in (0..).zip(rates) {
            assert!((schedule.at(t) - rate).abs() <= F64, "{scheduler}, update {t}");
        }
    }
}

#[test]
fn logs_show_the_rate_of_their_update() {
    // Twelve updates: three epochs of four. ceil(0.3 · 12) = 4 of them warm up.
    for scheduler in TYPES {
        for (warmup_ratio, warmup) in [(0.0, 0), (0.3, 4), (0.25, 3), (1.0, 12)] {
            let config = TrainConfig {
                lr_scheduler_type: scheduler,
                warmup_ratio,
                num_train_epochs: 3,
                per_device_train_batch_size: 1,
                ..config("dpo-bt")
            };
            let (logs, _) = run(fresh(0.0), &fours(4), config);
            for (t, log) in (0..).zip(&logs) {
                let expected = 1e-3 * factor(scheduler, t, warmup, 12);
                assert!((log.learning_rate - expected).abs() <= 1e-3 * F64, "{scheduler}, {warmup_ratio}, update {t}");
                assert_eq!((log.step, log.total_steps), (t + 1, 12));
            }
        }
    }
}

/// The first update of a warm-up has rate 0, as in transformers; the second does not.
#[test]
fn the_rate_of_the_log_is_the_rate_of_the_update() {
    let config = TrainConfig { warmup_ratio: 0.5, per_device_train_batch_size: 1, ..config("dpo-bt") };
    let mut trainer = trainer(fresh(0.0), &fours(4), config);
    let initial = trained(trainer.policy());
    for moves in [false, true] {
        let log = trainer.step().expect("a step").expect("one of four");
        assert_eq!(log.learning_rate > 0.0, moves);
        assert_eq!(trained(trainer.policy()) != initial, moves);
    }
}

#[test]
fn names_are_transformers() {
    for (name, scheduler) in ["cosine", "linear", "constant_with_warmup"].into_iter().zip(TYPES) {
        assert_eq!(name.parse::<SchedulerType>().expect("it is known"), scheduler);
        assert_eq!(scheduler.to_string(), name);
    }
    let error = "polynomial".parse::<SchedulerType>().expect_err("it is not known");
    assert_eq!(error.kind(), hps_llama::ErrorKind::Option);
    assert!(error.to_string().contains("`polynomial`"), "{error}");
}
